//! Everything that the official conformance suite expects of a server, written with the public API alone.
//!
//! `cargo run --release --example conformance_server -- --listen 127.0.0.1:PORT`; docs/conformance.md says how the
//! suite is run against it. The names, the schemas and their order are the suite's; they are no model for tools of your own.

mod asking;
mod changes;
mod media;
mod plain;
mod prompts;
mod resources;
mod rounds;
mod streaming;

use std::net::SocketAddr;

use clap::Parser;
use ringmesh::{Registry, Server, ServerConfig};

/// The fixtures of the MCP conformance suite.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, which the log names.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many cores may serve, at most.
    #[arg(long, default_value_t = 2)]
    max_cores: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let config = ServerConfig {
        server_name: "ringmesh-conformance".into(),
        listen: vec![arguments.listen],
        max_cores: Some(arguments.max_cores),
        ..ServerConfig::default()
    };
    ringmesh::init_tracing(config.log_filter(), config.log_format)?;
    Server::new(config).registry(fixtures()).handle_signals().run()?;
    Ok(())
}

/// The fixtures in the order in which they are listed. The suite calls the first tool without arguments.
fn fixtures() -> Registry {
    let tools = Registry::new()
        .with(plain::simple_text())
        .with(plain::image())
        .with(plain::audio())
        .with(plain::embedded_resource())
        .with(plain::multiple_content_types())
        .with(streaming::logging())
        .with(plain::error())
        .with(streaming::progress())
        .with(asking::sampling())
        .with(asking::elicitation())
        .with(asking::elicitation_defaults())
        .with(asking::elicitation_enums())
        .with(plain::every_keyword())
        .with(changes::reconnection())
        .with(plain::custom_header())
        .with(changes::tool_change())
        .with(changes::prompt_change())
        .with(plain::missing_capability())
        .with(asking::streaming_elicitation())
        .with(streaming::logging_on_request());
    prompts::register(resources::register(rounds::register(tools).with(changes::resource_change())))
}
