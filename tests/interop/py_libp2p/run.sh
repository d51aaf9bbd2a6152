#!/usr/bin/env bash
# Has py-libp2p use a running node, and a node use py-libp2p.
#
# Usage: run.sh [SERVER_BINARY] [VENV_FOLDER]
# Needs python3 (3.11 or newer) with venv and pip; the packages are pinned in requirements.txt. One of them comes as source
# only and wants a C compiler, Python's headers and GMP's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}
venv=${2:-$root/target/interop/py_libp2p}

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

start_node "$server"
timeout 300 "$venv/bin/python" "$here/client.py" "${nodes[@]}"
stop_server
start_peer "$venv/bin/python" "$here/server.py"
call_peer "$server"
beat_peer "$server"
