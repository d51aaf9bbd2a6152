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
