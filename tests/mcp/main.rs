//! The MCP room from outside: bytes in, bytes out.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod cancellation;
mod catalog;
mod changes;
mod check_order;
mod completion;
mod events;
mod forms;
mod legacy;
mod modern;
mod offload;
mod prompts;
mod registration;
mod resources;
mod revisions;
mod sessions;
mod support;
mod tool_results;
mod validation;
