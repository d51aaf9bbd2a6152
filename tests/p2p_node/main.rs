//! The libp2p node from outside, over loopback: servers in this process, and clients that are nodes too, or less.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

#[path = "../common/mod.rs"]
mod common;
mod dialling;
mod hostile;
mod limits;
mod ports;
#[path = "../runtime_support/mod.rs"]
mod runtime_support;
mod shutdown;
mod support;
