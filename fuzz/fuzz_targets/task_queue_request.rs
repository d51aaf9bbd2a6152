//! Any bytes as a request of the task queue RPC.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::task_queue_request(data));
