//! A server with a tool of its own, on every allowed core, configured from the environment.
//!
//! `cargo run --release --example standalone`, then call `add` at `http://127.0.0.1:8000/mcp`.

use ringmesh::{CallError, Context, Registry, Server, ServerConfig};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `add` takes. Its doc comments become the schema's descriptions.
#[derive(Deserialize, JsonSchema)]
struct Add {
    /// The first number.
    a: f64,
    /// The second number.
    b: f64,
}

async fn add(args: Add, _ctx: Context) -> Result<String, CallError> {
    Ok((args.a + args.b).to_string())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = ServerConfig::from_env()?;
    ringmesh::init_tracing(config.log_filter(), config.log_format)?;
    let registry = Registry::new().tool("add", "Adds two numbers", add);
    Server::new(config).registry(registry).builtin_tools().handle_signals().run()?;
    Ok(())
}
