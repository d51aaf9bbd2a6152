//! A client: connects to a server, lists its tools and calls one.
//!
//! `cargo run --example client -- http://127.0.0.1:8000/mcp`

use std::io::Write as _;

use ringmesh::client::{self, Client, ClientOptions};
use serde_json::json;

fn main() -> Result<(), ringmesh::BoxError> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8000/mcp".to_owned());
    let lines = client::run(move |scope| async move {
        let client = Client::connect(&scope, &target, ClientOptions::new("example", "1.0.0")).await?;
        let mut lines = vec![format!("{} speaks {}", client.server().name, client.revision())];
        for tool in client.list_tools().await? {
            lines.push(format!("{}: {}", tool.name, tool.description.unwrap_or_default()));
        }
        let result = client.call_tool("echo", json!({ "message": "hello" })).await?;
        lines.push(result.text());
        client.close().await?;
        Ok(lines)
    })?;
    writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
    Ok(())
}
