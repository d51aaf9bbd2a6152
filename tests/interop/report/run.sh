#!/usr/bin/env bash
# The page of a report in a browser: whole, without errors, nothing wider than a phone, and dark where that is wanted.
#
# Usage: run.sh [SERVER_BINARY] [GENERATOR_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}
generator=${2:-$root/target/release/ringmesh-loadtest}

if ! command -v chromium >/dev/null; then
    command -v apt-get >/dev/null || { echo "missing: chromium, and there is no apt-get to install it with"; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
folder=$(mktemp -d)
start_server "$server"
# Void runs are shown too, so a slow machine does no harm here.
timeout 120 "$generator" --url "$url" --server-pid "$server_pid" --ramp 100:300:3 --connections 8 --max-lag-ms 10000 \
    --warmup-s 0.2 --duration-s 1 --out "$folder" >/dev/null || [[ $? == 3 ]]
stop_server
python3 "$here/look.py" "$folder"
rm -rf "$folder"
