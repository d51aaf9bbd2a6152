//! The page on the client says what the code does.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use ringmesh::client::ClientLimits;

#[test]
fn every_limit_of_the_client_is_documented_with_its_default() {
    let page = include_str!("../docs/client.md");
    for (name, default) in ClientLimits::DEFAULTS {
        assert!(page.contains(&format!("| `{name}` | {default} |")), "{name} = {default}");
    }
}

#[test]
fn every_bound_of_a_peer_is_documented_with_its_default() {
    let page = include_str!("../docs/client.md");
    let options = ringmesh::client::p2p::P2pOptions::default();
    for (name, default) in [
        ("max_streams", options.max_streams),
        ("max_stream_requests", options.max_stream_requests),
        ("max_frame_bytes", options.max_frame_bytes),
        ("max_waiting_bytes", options.max_waiting_bytes),
    ] {
        assert!(page.contains(&format!("| `{name}` | {default} |")), "{name} = {default}");
    }
    for (name, default) in [
        ("open_timeout", options.open_timeout),
        ("write_timeout", options.write_timeout),
        ("frame_timeout", options.frame_timeout),
        ("idle_timeout", options.idle_timeout),
    ] {
        assert!(page.contains(&format!("| `{name}` | {} s |", default.as_secs())), "{name} = {default:?}");
    }
}
