//! Any bytes as a server's answer to a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::client_answer(data));
