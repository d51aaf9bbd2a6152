//! `server_status`: which core answered, and how the server is.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp::{Context, Json, Registry, Tool, ToolAnnotations};

/// What only the running server knows.
pub trait StatusProvider: Send + Sync + 'static {
    /// The time since the server was ready.
    fn uptime(&self) -> Duration;

    /// How many sessions are open.
    fn sessions(&self) -> usize;
}

/// The answer of `server_status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerStatus {
    /// Index of the core that answered.
    pub core: usize,
    /// Version of the server.
    pub version: String,
    /// Seconds since the server was ready.
    pub uptime_s: f64,
    /// Open sessions of clients of the revisions before 2026-07-28.
    pub sessions: usize,
}

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

pub(super) fn register(registry: Registry, provider: Arc<dyn StatusProvider>) -> Registry {
    let status = Tool::new(
        "server_status",
        "Tells which core answered, and the server's version, uptime and sessions",
        {
            move |_: NoArgs, context: Context| {
                let status = ServerStatus {
                    core: context.core(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    uptime_s: (provider.uptime().as_secs_f64() * 1000.0).round() / 1000.0,
                    sessions: provider.sessions(),
                };
                async move { Ok(Json(status)) }
            }
        },
    );
    registry.with(status.title("Server status").annotations(ToolAnnotations {
        read_only_hint: Some(true),
        open_world_hint: Some(false),
        ..ToolAnnotations::default()
    }))
}
