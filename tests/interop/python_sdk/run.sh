#!/usr/bin/env bash
# Starts the server, has the official Python SDK use it in each era, and stops it.
#
# Usage: run.sh [SERVER_BINARY] [VENV_FOLDER]
# Needs python3 (3.11 or newer) with venv and pip; the packages are pinned in requirements.txt.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}
venv=${2:-$root/target/interop/python_sdk}

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

start_server "$server"
timeout 180 "$venv/bin/python" "$here/client.py" "$url"
stop_server
