# Shared by the scripts that drive a real server process. Source it; it sets `root` and defines:
#   start_server BINARY [ARGUMENT...]   starts it on a free port; sets `server_pid` and `url`
#   stop_server                         SIGTERM, and fails unless the server ends with exit code 0
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server_pid=
url=
server_log=$(mktemp)
server_state=$(mktemp -d)

_finish() {
    local status=$?
    if [[ -n $server_pid ]]; then
        kill -TERM "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    fi
    if ((status != 0)); then
        echo "--- the server's log (last 50 lines)" >&2
        tail -n 50 "$server_log" >&2
    fi
    rm -rf "$server_log" "$server_state"
}
trap _finish EXIT

start_server() {
    local binary=$1
    shift
    [[ -x $binary ]] || { echo "no server at $binary: build it with cargo build --release" >&2; return 1; }
    RINGMESH_DATA_DIR=$server_state NO_COLOR=1 "$binary" serve --listen 127.0.0.1:0 "$@" >"$server_log" 2>&1 </dev/null &
    server_pid=$!
    url=
    for _ in {1..100}; do
        url=$(grep -oE 'running at http://[^ "]+' "$server_log" | head -n 1 | cut -d ' ' -f 3 || true)
        [[ -n $url ]] && return
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server did not say within 10 s where it listens" >&2
    return 1
}

stop_server() {
    local status=0 pid=$server_pid
    kill -TERM "$pid"
    wait "$pid" || status=$?
    server_pid=
    ((status == 0)) || { echo "the server ended with $status after SIGTERM" >&2; return 1; }
}
