//! The tools of the task queue from outside: every tool over HTTP, answered by the server itself and, where it takes a
//! peer, by a second server over libp2p; tasks as resources; and the tools of workflows.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and this file is the whole crate"
)]

mod bounds;
mod child;
#[path = "../common/mod.rs"]
mod common;
mod full_disk;
mod offered;
#[path = "../common/peer.rs"]
mod peer;
mod peers;
mod refusals;
mod resources;
mod support;
mod table;
mod waits;
mod workflows;
