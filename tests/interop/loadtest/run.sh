#!/usr/bin/env bash
# Half a second of load in each era and shape; every answer must be right. Nothing here depends on speed.
#
# Usage: run.sh [SERVER_BINARY] [GENERATOR_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}
generator=${2:-$root/target/release/ringmesh-loadtest}
passed=0

load() {
    echo "+ ringmesh-loadtest $*"
    timeout 60 "$generator" --url "$url" --server-pid "$server_pid" --warmup-s 0.1 --duration-s 0.5 "$@"
    passed=$((passed + 1))
}

start_server "$server"
load --connections 64
load --connections 8 --pipeline 16
load --connections 4 --message-bytes 100000
load --connections 16 --era 2025-11-25
load --connections 16 --era 2025-06-18 --sessions shared --pipeline 4
stop_server
# One core for the server and another for the generator, where there are two: figures to compare, and no check of them.
mapfile -t cpus < <(taskset -cp $$ | sed 's/.*: //' | python3 -c '
for part in input().split(","):
    first, _, last = part.partition("-")
    print(*range(int(first), int(last or first) + 1), sep="\n")')
for mode in none always; do
    start_server "$server" --cores "${cpus[0]}" --journal-mode "$mode"
    target=${url#http://}
    for round in submit cycle; do
        echo "+ ringmesh-loadtest queue --round $round, journal mode $mode"
        timeout 60 "$generator" queue --target "${target%%/*}" --protocol tools --round "$round" --connections 64 \
            --cpu "${cpus[-1]}" --server-pid "$server_pid" --warmup-s 0.2 --duration-s 1
        passed=$((passed + 1))
    done
    stop_server
done
start_node "$server"
for mode in stream-per-request long-lived; do
    echo "+ ringmesh-loadtest p2p --mode $mode"
    timeout 60 "$generator" p2p --target "${nodes[0]}" --mode "$mode" --server-pid "$server_pid" \
        --connections 2 --warmup-s 0.1 --duration-s 0.5
    passed=$((passed + 1))
done
timeout 60 "$generator" p2p --target "${nodes[0]}" --mode idle --connections 200 --server-pid "$server_pid"
passed=$((passed + 1))
stop_server
echo "$passed passed, 0 failed"
