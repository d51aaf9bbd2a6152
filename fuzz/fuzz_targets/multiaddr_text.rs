//! Any bytes as the text of a multiaddr or peer id.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::multiaddr_text(data));
