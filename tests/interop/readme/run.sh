#!/usr/bin/env bash
# Does what the README tells a newcomer, word for word: starts the server, then runs its curl examples.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# block NAME: the fenced block of README.md that follows the line <!-- NAME -->.
block() {
    awk -v mark="<!-- $1 -->" '$0 == mark { wanted = 1; next }
        wanted && /^```/ { if (inside) exit; inside = 1; next }
        inside { print }' README.md
}

run=$(block run-command)
[[ -n $run ]] || { echo "README.md marks no run command"; exit 1; }
echo "+ $run"
log=$(mktemp)
# Word for word, but for where it keeps its state.
state=$(mktemp -d)
export RINGMESH_DATA_DIR=$state
setsid bash -c "$run" 2>"$log" &
server=$!
trap 'kill -TERM -- -"$server" 2>/dev/null || true; wait "$server" || true; rm -rf "$log" "$state"' EXIT

for _ in $(seq 600); do
    grep -q 'running at http://127.0.0.1:8000/mcp' "$log" && break
    kill -0 "$server" 2>/dev/null || { cat "$log"; exit 1; }
    sleep 0.5
done

for example in curl-modern curl-legacy; do
    echo "+ $example"
    answer=$(bash -euo pipefail -c "$(block "$example")")
    echo "$answer"
    grep -q '"text":"hello"' <<<"$answer" || { echo "$example: no greeting in the answer"; exit 1; }
done
