//! The server inside a glommio executor that the program already has, beside work of its own.

use glommio::{LocalExecutorBuilder, Placement};
use ringmesh::runtime::{Queue, Scope, ScopeError, ScopeOptions};
use ringmesh::{BoxError, Server, ServerConfig, Start};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = ServerConfig { listen: vec!["127.0.0.1:0".parse()?], ..ServerConfig::default() };
    ringmesh::init_tracing(config.log_filter(), config.log_format)?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().map_err(|error| error.to_string())?;
    executor.run(program(config)).map_err(|error| error.to_string())?;
    Ok(())
}

/// One scope holds the server and the program's own task; both end before it does.
async fn program(config: ServerConfig) -> Result<(), ScopeError<BoxError>> {
    let options = ScopeOptions { queue: Queue::Serve, name: "program", ..ScopeOptions::default() };
    Scope::run(options, |scope| async move {
        let server = Server::new(config).builtin_tools();
        let handle = server.handle();
        let inner = scope.clone();
        scope.spawn("server", async move {
            server.run_in_scope(&inner).await?;
            Ok::<(), BoxError>(())
        })?;
        if let Start::Ready(addresses) = handle.readiness().wait().await {
            tracing::info!(?addresses, "this executor serves MCP and does its own work");
        }
        ringmesh::runtime::sleep(std::time::Duration::from_secs(1)).await;
        handle.stop();
        Ok(())
    })
    .await
}
