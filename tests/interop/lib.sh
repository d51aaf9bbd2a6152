# Shared by the scripts that drive a real server process. Source it; it sets `root` and defines:
#   start_server BINARY [ARGUMENT...]    starts the command on a free port; sets `server_pid` and `url`
#   start_example BINARY [ARGUMENT...]   the same for an example that takes --listen
#   stop_server                          SIGTERM, and fails unless the server ends with exit code 0
#   use_node                             sets `node` to a Node of version 22.19 or newer, installed where there is none
#   npm_packages FOLDER                  installs what FOLDER/package-lock.json pins; sets `packages` to where
#   start_node BINARY [ARGUMENT...]      starts the command with libp2p listeners; sets `server_pid` and `nodes`, their multiaddrs
#   start_peer COMMAND...                starts an outside libp2p node; sets `peer_pid` and `peer_log`, where it says what it sees
#   call_peer BINARY                     has the client of BINARY use the outside node that runs
#   beat_peer BINARY                     has a server send its heartbeats to that node
#   stop_peer                            ends it
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server_pid=
url=
server_log=$(mktemp)
server_state=$(mktemp -d)
nodes=()
peer_pid=
peer_log=$server_state/peer.log
# Whatever server is started writes there, and not into the home of who runs this.
export RINGMESH_DATA_DIR=$server_state

_finish() {
    local status=$?
    if [[ -n $server_pid ]]; then
        kill -TERM "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    fi
    stop_peer
    if ((status != 0)); then
        echo "--- the server's log (last 50 lines)" >&2
        tail -n 50 "$server_log" >&2
        [[ ! -s $peer_log ]] || { echo "--- the outside node's log (last 20 lines)" >&2 && tail -n 20 "$peer_log" >&2; }
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

# What the server's log says of libp2p addresses, or the outside node's.
_multiaddrs() {
    grep -oE '/(ip4|ip6)/[^ "/]+/tcp/[1-9][0-9]*/p2p/[A-Za-z0-9]+' "$1" | sort -u
}

start_node() {
    local binary=$1 listen=(/ip4/127.0.0.1/tcp/0)
    shift
    # Some machines have no ip6.
    [[ ! -e /proc/net/if_inet6 ]] || ! grep -q ' lo$' /proc/net/if_inet6 || listen+=(/ip6/::1/tcp/0)
    start_server "$binary" "${listen[@]/#/--p2p-listen=}" "$@"
    for _ in {1..100}; do
        mapfile -t nodes < <(_multiaddrs "$server_log")
        ((${#nodes[@]} < ${#listen[@]})) || return 0
        sleep 0.1
    done
    echo "the server did not say within 10 s where it listens for libp2p" >&2
    return 1
}

start_peer() {
    "$@" >"$peer_log" 2>&1 </dev/null &
    peer_pid=$!
    for _ in {1..300}; do
        ! grep -qx ready "$peer_log" || return 0
        kill -0 "$peer_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "the outside node did not get ready within 30 s" >&2
    return 1
}

stop_peer() {
    [[ -n $peer_pid ]] || return 0
    kill -KILL "$peer_pid" 2>/dev/null || true
    wait "$peer_pid" 2>/dev/null || true
    peer_pid=
}

# _expect WHAT STATUS COMMAND...: the command ends with that status, and `check` holds of what it printed.
_expect() {
    local what=$1 wanted=$2 status=0
    shift 2
    timeout 60 "$@" >"$server_state/out" 2>"$server_state/err" || status=$?
    if ((status != wanted)) || ! check <"$server_state/out"; then
        echo "FAILED  $what: it ended with $status: $(head -c 500 "$server_state/out") $(head -c 500 "$server_state/err")"
        return 1
    fi
    echo "ok      $what"
}

call_peer() {
    local binary=$1 word name address long=$server_state/long.json
    local stranger=12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp
    # More than a command line holds in one word.
    printf '{"message":"%s"}' "$(head -c 1000000 /dev/zero | tr '\0' x)" >"$long"
    while read -r word name address; do
        [[ $word == listening ]] || continue
        check() { grep -q echo; }
        _expect "calls $name, tools" 0 "$binary" tools "$address" </dev/null
        check() { grep -qx "hello $name"; }
        _expect "calls $name, echo" 0 "$binary" call "$address" echo message="hello $name" </dev/null
        check() { [[ $(tr -d '\n' | wc -c) == 1000000 ]]; }
        _expect "calls $name, a megabyte" 0 "$binary" call "$address" echo --json - <"$long"
        check() { ! grep -q .; }
        # 4: it cannot be reached.
        _expect "calls $name, refused as another peer" 4 \
            "$binary" call "${address%/p2p/*}/p2p/$stranger" echo message=stolen </dev/null
    done < <(cat "$peer_log")
}

beat_peer() {
    local binary=$1 word name address names=() bootstrap=()
    while read -r word name address; do
        [[ $word != listening ]] || { names+=("$name") && bootstrap+=("--p2p-bootstrap-peer=$address"); }
    done <"$peer_log"
    start_node "$binary" --p2p-heartbeat-ms 200 "${bootstrap[@]}"
    for name in "${names[@]}"; do
        for _ in {1..150}; do
            (($(grep -c "^heartbeat $name ${nodes[0]##*/}\$" "$peer_log") < 3)) || break
            sleep 0.1
        done
        (($(grep -c "^heartbeat $name ${nodes[0]##*/}\$" "$peer_log") >= 3)) || {
            echo "FAILED  heartbeats to $name: fewer than 3 in 15 s"
            return 1
        }
        echo "ok      heartbeats to $name"
    done
    stop_server
}
