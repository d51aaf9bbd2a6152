//! The MCP room from outside: bytes in, bytes out.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod asking_legacy;
mod asking_modern;
mod batches;
mod cancellation;
mod catalog;
mod changes;
mod check_order;
mod completion;
mod events;
mod forms;
mod legacy;
mod listen;
mod modern;
mod offload;
mod prompts;
mod registration;
mod request_state;
mod resources;
mod revisions;
mod session_streams;
mod sessions;
mod support;
mod tool_results;
mod validation;
