//! Any bytes as a JSON-RPC message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::json_rpc_envelope(data));
