#!/usr/bin/env bash
# Starts the server, has the official Python SDK use it in each era, and stops it.
#
# Usage: run.sh [SERVER_BINARY] [VENV_FOLDER]
# Needs python3 (3.11 or newer) with venv and pip; the packages are pinned in requirements.txt.
set -euo pipefail
cd "$(dirname "$0")"
root=$(git rev-parse --show-toplevel)
server=${1:-$root/target/release/ringmesh}
venv=${2:-$root/target/interop/python_sdk}
log=$(mktemp)
server_pid=

finish() {
    local status=$?
    if [[ -n $server_pid ]]; then
        kill -TERM "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    fi
    if ((status != 0)); then
        echo "--- the server's log (last 50 lines)" >&2
        tail -n 50 "$log" >&2
    fi
    rm -f "$log"
}
trap finish EXIT

[[ -x $server ]] || { echo "no server at $server: build it with cargo build --release" >&2; exit 1; }
if ! cmp -s requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt "$venv/requirements.txt"
fi

"$server" serve --listen 127.0.0.1:0 >"$log" 2>&1 </dev/null &
server_pid=$!
url=
for _ in {1..100}; do
    url=$(grep -oE 'listening on http://[^ "]+' "$log" | head -n 1 | cut -d ' ' -f 3 || true)
    [[ -n $url ]] && break
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
done
[[ -n $url ]] || { echo "the server did not say where it listens within 10 s" >&2; exit 1; }

timeout 180 "$venv/bin/python" client.py "$url"

# The server must end well when it is told to.
kill -TERM "$server_pid"
status=0
wait "$server_pid" || status=$?
server_pid=
((status == 0)) || { echo "the server ended with $status after SIGTERM" >&2; exit 1; }
