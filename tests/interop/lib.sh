# Shared by the scripts that drive a real server process. Source it; it sets `root` and defines:
#   start_server BINARY [ARGUMENT...]    starts the command on a free port; sets `server_pid` and `url`
#   start_example BINARY [ARGUMENT...]   the same for an example that takes --listen
#   stop_server                          SIGTERM, and fails unless the server ends with exit code 0
#   use_node                             sets `node` to a Node of version 22.19 or newer, installed where there is none
#   npm_packages FOLDER                  installs what FOLDER/package-lock.json pins; sets `packages` to where
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server_pid=
url=
server_log=$(mktemp)
server_state=$(mktemp -d)
# Whatever server is started writes there, and not into the home of who runs this.
export RINGMESH_DATA_DIR=$server_state

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
    start_example "$binary" serve "$@"
}

start_example() {
    local binary=$1
    shift
    [[ -x $binary ]] || { echo "no server at $binary: build it with cargo build --release" >&2; return 1; }
    # Emptied here and not by the redirection, which happens in the child: the address of the last server is in it.
    : >"$server_log"
    NO_COLOR=1 "$binary" "$@" --listen 127.0.0.1:0 >"$server_log" 2>&1 </dev/null &
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

use_node() {
    node=$(command -v node || true)
    local new_enough='const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 19) ? 0 : 1)'
    [[ -n $node ]] && "$node" -e "$new_enough" && return
    npm_packages "$root/tests/interop/node"
    node=$(find "$packages" -path '*/node-linux-*/bin/node' -print -quit)
    [[ -n $node ]] || { echo "no Node 22 for this machine: tests/interop/node has it for x64 and arm64" >&2; return 1; }
}

npm_packages() {
    local source=$1 target
    command -v npm >/dev/null || { echo "npm is missing" >&2; return 1; }
    target=$root/target/interop/npm/$(basename "$source")
    packages=$target/node_modules
    cmp -s "$source/package-lock.json" "$target/installed.json" && return
    rm -rf "$target"
    mkdir -p "$target"
    cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$target"
    (cd "$target" && timeout 300 npm ci --loglevel=error)
    cp "$source/package-lock.json" "$target/installed.json"
}
