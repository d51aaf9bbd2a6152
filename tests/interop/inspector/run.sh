#!/usr/bin/env bash
# Has the MCP Inspector's command line list, read and call in each era that it speaks.
#
# Usage: run.sh [EXAMPLE_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
example=${1:-$root/target/release/examples/conformance_server}

use_node
npm_packages "$here"
launcher=$packages/@modelcontextprotocol/inspector/clients/launcher/build/index.js
# It keeps a catalog and secrets in its user's home.
home=$packages/../home
mkdir -p "$home"
passed=0

# expect ERA PART METHOD [ARGUMENT...]: the answer to METHOD holds PART.
expect() {
    local era=$1 part=$2 method=$3 answer
    shift 3
    answer=$(HOME=$home timeout 30 "$node" "$launcher" --cli "$url" --transport http --protocol-era "$era" \
        --format json --quiet --method "$method" "$@" </dev/null)
    grep -qF -- "$part" <<<"$answer" || {
        echo "FAILED  inspector, $era: no $part in the answer to $method: $answer"
        return 1
    }
    passed=$((passed + 1))
}

start_example "$example"
for era in legacy modern; do
    expect "$era" '"test_simple_text"' tools/list --strict
    expect "$era" 'This is a simple text response for testing.' tools/call --tool-name test_simple_text
    expect "$era" 'Value: \"a b\"' tools/call --tool-name test_custom_header --tool-arg 'value=a b'
    expect "$era" '"test://static-text"' resources/list
    expect "$era" '"test://template/{id}/data"' resources/templates/list
    expect "$era" 'This is the content of the static text resource.' resources/read --uri test://static-text
    expect "$era" '"test_simple_prompt"' prompts/list
    expect "$era" "arg1='a', arg2='b'" prompts/get --prompt-name test_prompt_with_arguments --prompt-args arg1=a arg2=b
    echo "ok      inspector, $era"
done
stop_server
echo "$passed passed, 0 failed"
