#!/usr/bin/env bash
# Counts the instructions of a request and compares them with the recorded figures: more than 3 % above is a failure.
#
# Usage: run.sh [--record] [GENERATOR_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
if ! command -v valgrind >/dev/null; then
    command -v apt-get >/dev/null || { echo "missing: valgrind, and there is no apt-get to install it with"; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind
fi
record=()
[[ ${1:-} != --record ]] || { record=(--record); shift; }
python3 "$here/count.py" "${record[@]}" "${1:-$root/target/release/ringmesh-loadtest}" "$root/benches/instructions.json"
