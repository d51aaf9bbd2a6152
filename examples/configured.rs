//! Configuration by value: one core, a port of the kernel's choice, tighter limits, hooks at the start and the end.

use ringmesh::{Server, ServerConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ServerConfig {
        server_name: "configured".into(),
        listen: vec!["127.0.0.1:0".parse()?],
        max_cores: Some(1),
        run_timeout_ms: Some(2_000),
        ..ServerConfig::default()
    };
    config.limits.max_body_bytes = 64 << 10;
    config.limits.tool_timeout_ms = 1_000;
    ringmesh::init_tracing(config.log_filter(), config.log_format)?;
    let server = Server::new(config)
        .builtin_tools()
        .handle_signals()
        .on_startup(|| {
            tracing::info!("opening what the tools need");
            Ok(())
        })
        .on_core_startup(|core| async move {
            tracing::info!(core = core.index, "warming this core's caches");
            Ok(())
        })
        .on_shutdown(|| {
            tracing::info!("closing it again");
            Ok(())
        });
    let ended = server.run()?;
    tracing::info!(?ended, "the server has ended");
    Ok(())
}
