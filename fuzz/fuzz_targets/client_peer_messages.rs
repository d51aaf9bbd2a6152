//! Any bytes as the messages that a peer sends to a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::client_peer_messages(data));
