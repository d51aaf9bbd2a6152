//! Any bytes as a stream of server-sent events.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::event_stream(data));
