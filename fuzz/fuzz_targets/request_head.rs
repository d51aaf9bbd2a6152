//! Any bytes as the input of one connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::request_head(data));
