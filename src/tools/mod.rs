//! The tools that the server brings along.

mod echo;
mod server_status;
pub(crate) mod task_queue;
#[cfg(test)]
mod tests;
pub(crate) mod workflow;

use std::sync::Arc;

use crate::mcp::Registry;

pub use server_status::{ServerStatus, StatusProvider};

/// Registers the tools that need nothing: `echo` and `server_status`.
#[must_use]
pub fn register(registry: Registry, status: Arc<dyn StatusProvider>) -> Registry {
    server_status::register(echo::register(registry), status)
}
