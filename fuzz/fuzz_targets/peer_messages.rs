//! Any bytes as the messages of a peer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::peer_messages(data));
