//! Any bytes as an identify message of a peer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::identify_message(data));
