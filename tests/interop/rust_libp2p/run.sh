#!/usr/bin/env bash
# Has stock rust-libp2p on tokio use a running node, and a node use it.
#
# Usage: run.sh [SERVER_BINARY]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
server=${1:-$root/target/release/ringmesh}
target=$root/target/interop/rust_libp2p
peer=$target/debug/interop-rust-libp2p

# Without incremental state, which takes space and is never used again.
CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$target cargo build --quiet --locked --manifest-path "$here/Cargo.toml"
rsa=$server_state/rsa.der
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 |
    openssl pkcs8 -topk8 -nocrypt -outform DER -out "$rsa"

start_node "$server"
timeout 300 "$peer" "$rsa" client "${nodes[@]}"
stop_server
start_peer "$peer" "$rsa" server
call_peer "$server"
beat_peer "$server"
