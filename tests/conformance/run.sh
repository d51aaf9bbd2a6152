#!/usr/bin/env bash
# Runs the official MCP conformance suite against the two examples that are written for it, and compares every scenario
# with what expected.json records: no failure, no warning, no success fewer, no scenario missing.
#
# Usage: run.sh [--record]                                  everything; --record rewrites the counts in expected.json
#        run.sh --server | --client                         one side only
#        run.sh --only SCENARIO [--spec-version REVISION]   one scenario, with every check that is no success
# Each takes --debug, for examples built without optimisation. docs/conformance.md says more.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../interop/lib.sh"

profile=release
arguments=()
while (($#)); do
    case $1 in
        --debug) profile=debug ;;
        --record | --server | --client) arguments+=("$1") ;;
        --only | --spec-version) arguments+=("$1" "${2:?$1 needs a value}") && shift ;;
        *) echo "unknown argument $1; the first lines of ${BASH_SOURCE[0]} say which there are" >&2 && exit 2 ;;
    esac
    shift
done

# The suite splits the client's command at blanks, so its path is given from here.
cd "$root"
build=(cargo build --quiet --locked --example conformance_server --example conformance_client)
if [[ $profile == release ]]; then build+=(--release); fi
echo "+ ${build[*]}"
"${build[@]}"
use_node
npm_packages "$here"

start_example "target/$profile/examples/conformance_server"
"$node" "$here/suite.mjs" --suite "$packages/@modelcontextprotocol/conformance/dist/index.js" --url "$url" \
    --client-command "target/$profile/examples/conformance_client" --results "target/conformance" "${arguments[@]}"
stop_server
