//! `echo`: something to call first.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::{Context, Registry, Tool, ToolAnnotations};

#[derive(Deserialize, JsonSchema)]
struct EchoArgs {
    /// The text to return.
    message: String,
}

pub(super) fn register(registry: Registry) -> Registry {
    let echo =
        Tool::new(
            "echo",
            "Returns the message",
            |args: EchoArgs, _: Context| async move { Ok(args.message) },
        );
    registry.with(echo.title("Echo").annotations(ToolAnnotations {
        read_only_hint: Some(true),
        idempotent_hint: Some(true),
        open_world_hint: Some(false),
        ..ToolAnnotations::default()
    }))
}
