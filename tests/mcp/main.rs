//! The MCP room from outside: bytes in, bytes out.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod batches;
mod cancellation;
mod check_order;
mod events;
mod forms;
mod legacy;
mod listen;
mod modern;
mod registration;
mod revisions;
mod session_streams;
mod sessions;
mod support;
mod tool_results;
mod validation;
