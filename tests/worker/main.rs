//! The worker as a user meets it: the command against a server, with commands that succeed, fail, hang and misbehave.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and this file is the whole crate"
)]

#[path = "../common/mod.rs"]
mod common;
mod containers;
mod ends;
mod fake;
mod killed;
mod outages;
mod peers;
mod stops;
mod usage;
