//! From a [`Server`] to the state its cores share: everything that can be refused before a core starts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::Server;
use super::blocking::{self, Threads};
use super::bounded::Bounded;
use super::budget::Budget;
use super::error::ServerError;
use super::hooks::Hooks;
use super::key_file;
use super::readiness::Readiness;
use super::service::Service;
use super::shared::{Life, Shared};
use super::status::Status;
use crate::config::ServerConfig;
use crate::http::{AccessOptions, AccessPolicy};
use crate::mcp::{Dispatcher, ErrorKind, McpOptions, MethodKind, ServerInfo};
use crate::observe::{Metrics, Names};
use crate::runtime::{self, Watchdog, WatchdogSettings};
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

/// Builds what the cores share. `cores` are their numbers; with `sockets` unset no address is bound.
pub(super) fn prepare(server: Server, cores: &[usize], sockets: bool) -> Result<Prepared, ServerError> {
    let Server {
        mut config,
        info,
        registry: handle,
        builtin_tools,
        signals,
        service,
        default_data_dir,
        mut hooks,
        stop,
        readiness,
    } = server;
    config.validate()?;
    let mut reserved = Vec::new();
    let mut probe_address = None;
    if sockets {
        for address in &mut config.listen {
            *address = reserve(*address, &mut reserved)?;
        }
        probe_address = config.probe_listen.map(|address| reserve(address, &mut reserved)).transpose()?;
    }
    let access = access_policy(&config)?;
    let limits = config.limits.clone();
    let started_at = Instant::now();
    let threads = blocking::threads(&limits);
    let status = Arc::new(Status::new(started_at));
    let registry = handle.take();
    let registry = if builtin_tools { tools::register(registry, status.clone()) } else { registry };
    let keys = key_file::keys(config.data_dir.as_deref(), default_data_dir, |name| std::env::var_os(name))?;
    let options = McpOptions { request_state_keys: keys, ..mcp_options(&config, info, &threads) };
    let dispatcher = Arc::new(Dispatcher::new(registry, options)?);
    dispatcher.attach(&handle)?;
    status.attach(&dispatcher);
    let names = Names {
        methods: MethodKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        tools: dispatcher.tools().map(str::to_owned).collect(),
        errors: ErrorKind::ALL.iter().map(|info| info.label).collect(),
    };
    tracing::info!(tools = names.tools.len(), cores = cores.len(), "set up");
    hooks.start().map_err(ServerError::Startup)?;
    let watchdog = sockets.then(|| watchdog(&config, &names)).transpose()?;
    let shared = Arc::new(Shared {
        access,
        budget: Budget::new(limits.max_buffered_bytes),
        inflight: Bounded::new(limits.max_inflight_requests),
        connections: Bounded::new(limits.max_connections),
        probe_connections: Bounded::new(limits.max_probe_connections),
        life: Life::default(),
        watchdog,
        metrics: Metrics::new(cores, names),
        addresses: config.listen.clone(),
        dispatcher,
        threads,
        service: Service::new(service),
        stop,
        started_at,
        probe_address,
        limits,
        config,
    });
    Ok(Prepared { shared, hooks, readiness, signals, reserved })
}

fn watchdog(config: &ServerConfig, names: &Names) -> Result<Watchdog, ServerError> {
    let settings = WatchdogSettings {
        stall_after: Duration::from_millis(config.stall_threshold_ms),
        activities: names.tools.clone(),
    };
    Watchdog::start(settings).map_err(|error| ServerError::Startup(error.into()))
}

/// Binds without listening, so that port 0 becomes one port for every core and a taken address is refused early.
fn reserve(address: SocketAddr, reserved: &mut Vec<Socket>) -> Result<SocketAddr, ServerError> {
    let (socket, bound) =
        runtime::bind_reserved(address).map_err(|source| ServerError::Bind { address, source })?;
    reserved.push(socket);
    Ok(bound)
}

fn access_policy(config: &ServerConfig) -> Result<AccessPolicy, ServerError> {
    let machine: Vec<IpAddr> = if config.listen.iter().any(|address| address.ip().is_unspecified()) {
        runtime::machine_addresses()
    } else {
        Vec::new()
    };
    let options = AccessOptions {
        bound: &config.listen,
        machine_addresses: &machine,
        allowed_hosts: &config.allowed_hosts,
        cors_origins: &config.cors_origins,
        authentication: false,
    };
    AccessPolicy::new(&options).map_err(|error| ServerError::Access(error.to_string()))
}

fn mcp_options(config: &ServerConfig, info: ServerInfo, threads: &Arc<Threads>) -> McpOptions {
    McpOptions {
        server: ServerInfo { name: config.server_name.clone(), ..info },
        instructions: config.instructions.clone(),
        limits: config.limits.clone(),
        allow_tools: config.allow_tools.clone(),
        deny_tools: config.deny_tools.clone(),
        p2p_tools: config.p2p_tools,
        taskqueue_tools: config.p2p_tools && config.taskqueue_tools,
        workflow_tools: config.p2p_tools && config.workflow_tools,
        offload: Some(threads.clone()),
        ..McpOptions::default()
    }
}
