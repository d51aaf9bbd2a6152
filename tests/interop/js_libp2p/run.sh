#!/usr/bin/env bash
# Has js-libp2p use a running node, and a node use js-libp2p.
#
# Usage: run.sh [SERVER_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}

use_node
npm_packages "$here"
# Node looks for packages beside the program that asks for them.
cp "$here"/*.mjs "$packages/.."

start_node "$server"
timeout 300 "$node" "$packages/../client.mjs" "${nodes[@]}"
stop_server
start_peer "$node" "$packages/../server.mjs"
call_peer "$server"
beat_peer "$server"
