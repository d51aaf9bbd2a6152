#!/usr/bin/env bash
# Has the official Python SDK use the server, and the example that offers every primitive, in each era.
#
# Usage: run.sh [SERVER_BINARY] [EXAMPLE_BINARY] [VENV_FOLDER]
# Needs python3 (3.11 or newer) with venv and pip; the packages are pinned in requirements.txt.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}
example=${2:-$root/target/release/examples/conformance_server}
venv=${3:-$root/target/interop/python_sdk}

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

start_server "$server"
timeout 180 "$venv/bin/python" "$here/client.py" "$url"
stop_server
start_example "$example"
timeout 180 "$venv/bin/python" "$here/features.py" "$url"
stop_server
