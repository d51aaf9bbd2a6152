//! A server that runs for a second and then stops by itself, in order.

use std::time::Duration;

use ringmesh::{Server, ServerConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = ServerConfig { listen: vec!["127.0.0.1:0".parse()?], ..ServerConfig::default() };
    ringmesh::init_tracing(config.log_filter(), config.log_format)?;
    Server::new(config).builtin_tools().run_timeout(Duration::from_secs(1)).run()?;
    Ok(())
}
