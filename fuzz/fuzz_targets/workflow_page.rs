//! Any bytes as what a peer says of its workflow tasks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::workflow_page(data));
