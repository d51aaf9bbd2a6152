//! From a [`Server`] to the state its cores share: everything that can be refused before a core starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use socket2::Socket;

use super::budget::Budget;
use super::error::ServerError;
use super::hooks::Hooks;
use super::inflight::InFlight;
use super::readiness::Readiness;
use super::shared::{Connections, Shared, StageCell};
use super::{Server, machine};
use crate::config::ServerConfig;
use crate::http::AccessPolicy;
use crate::limits::{Limit, Limits};
use crate::mcp::{Dispatcher, ErrorKind, McpOptions, MethodKind, Registry};
use crate::observe::Metrics;
use crate::runtime::blocking::BlockingPool;
use crate::runtime::{self, StopFlag, Watchdog};
use crate::tools;

/// A server that is ready to start its cores.
pub(super) struct Prepared {
    pub(super) shared: Arc<Shared>,
    pub(super) hooks: Hooks,
    pub(super) readiness: Readiness,
    pub(super) signals: bool,
    /// Keep the ports until every core has bound them.
    pub(super) reserved: Vec<Socket>,
}

/// Builds what the cores share, for `cores` of them. With `sockets` unset no address is bound.
pub(super) fn prepare(server: Server, cores: usize, sockets: bool) -> Result<Prepared, ServerError> {
    let Server { mut config, registry, builtin_tools, signals, mut hooks, stop, readiness } = server;
    config.validate()?;
    let (reserved, addresses, probe_address) = if sockets { reserve(&config)? } else { Default::default() };
    let started_at = Instant::now();
    let dispatcher = dispatcher(&config, registry, builtin_tools, cores, started_at)?;
    let metrics = metrics(&dispatcher, cores);
    let access = access(&config, &addresses)?;
    hooks.start().map_err(ServerError::Startup)?;
    config.listen.clone_from(&addresses);
    let limits = config.limits.clone();
    let shared = Arc::new(Shared {
        access,
        budget: Budget::new(limits.max_buffered_bytes),
        inflight: InFlight::new(limits.max_inflight_requests),
        connections: Connections::new(limits.max_connections),
        stage: StageCell::default(),
        watchdog: Watchdog::start(config.stall_threshold()),
        dispatcher,
        metrics,
        stop,
        started_at,
        addresses,
        probe_address,
        limits,
        config,
    });
    tracing::info!(tools = shared.dispatcher.tool_names().len(), cores, "set up");
    Ok(Prepared { shared, hooks, readiness, signals, reserved })
}
