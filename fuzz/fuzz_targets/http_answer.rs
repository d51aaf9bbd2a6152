//! Any bytes as the answer of a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::http_answer(data));
