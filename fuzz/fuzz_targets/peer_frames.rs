//! Any bytes as frames of `/mcp+p2p/1.0.0`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmesh::fuzzing::peer_frames(data));
