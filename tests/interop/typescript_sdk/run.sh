#!/usr/bin/env bash
# Has both lines of the official TypeScript SDK use every primitive of the example, in each era they speak.
#
# Usage: run.sh [EXAMPLE_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
example=${1:-$root/target/release/examples/conformance_server}

use_node
npm_packages "$here"
# Node looks for packages beside the program that asks for them.
cp "$here"/*.mjs "$packages/.."

start_example "$example"
timeout 180 "$node" "$packages/../client.mjs" "$url"
stop_server
