//! Any bytes as a chunked request body.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::chunked_body(data));
