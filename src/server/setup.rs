//! From a [`Server`] to the state its cores share: everything that can be refused before a core starts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::Server;
use super::blocking::{self, Threads};
use super::budget::Budget;
use super::error::ServerError;
use super::hooks::Hooks;
use super::key_file;
use super::p2p::{self, P2pSetup};
use super::readiness::Readiness;
use super::service::Service;
use super::shared::{Life, Shared};
use super::status::Status;
use super::task_tools::{self, ServerId};
use super::tasks;
use crate::config::ServerConfig;
use crate::http::{AccessOptions, AccessPolicy};
use crate::limits::Bounded;
use crate::mcp::{Dispatcher, ErrorKind, McpOptions, MethodKind, Registry, ServerInfo};
use crate::observe::{Metrics, Names};
use crate::runtime::{self, Watchdog, WatchdogSettings};

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
    let (mut config, mut hooks, handle) = (server.config, server.hooks, server.registry);
    config.validate()?;
    let (mut reserved, probe_address) = if sockets { reserve_all(&mut config)? } else { Default::default() };
    let access = access_policy(&config)?;
    let limits = config.limits.clone();
    let started_at = Instant::now();
    let threads = blocking::threads(&limits);
    let status = Arc::new(Status::new(started_at));
    let id = ServerId::new();
    let registry = match server.builtin_tools {
        true => builtin(handle.take(), &config, &status, sockets.then_some(id)),
        false => handle.take(),
    };
    let variable = |name: &str| std::env::var_os(name);
    let keys = key_file::keys(config.data_dir.as_deref(), server.default_data_dir, variable)?;
    let options = McpOptions { request_state_keys: keys, ..mcp_options(&config, server.info, &threads) };
    let p2p = match sockets {
        true => {
            let setup = P2pSetup { default_data_dir: server.default_data_dir, reserved: &mut reserved };
            p2p::prepare(&config, setup)?
        }
        false => None,
    };
    let store = match &p2p {
        Some(p2p) => {
            let peer_id = p2p.node.identity().base58();
            Some(tasks::open(&config, server.default_data_dir, cores.len(), peer_id)?)
        }
        None => None,
    };
    let dispatcher = Arc::new(Dispatcher::new(registry, options)?);
    dispatcher.attach(&handle)?;
    status.attach(&dispatcher);
    if let Some(store) = &store {
        task_tools::tell_changes(store, &dispatcher);
    }
    let names = names(&dispatcher);
    tracing::info!(tools = names.tools.len(), cores = cores.len(), "set up");
    hooks.start().map_err(ServerError::Startup)?;
    let watchdog = sockets.then(|| watchdog(&config, &names)).transpose()?;
    let shared = Arc::new(Shared {
        id,
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
        service: Service::new(server.service),
        stop: server.stop,
        started_at,
        probe_address,
        p2p,
        store,
        limits,
        config,
    });
    Ok(Prepared { shared, hooks, readiness: server.readiness, signals: server.signals, reserved })
}

/// Adds the tools that come along. Those of the task queue only where there are sockets, which `id` stands for: without
/// them there are no peers, and no queue.
fn builtin(
    registry: Registry,
    config: &ServerConfig,
    status: &Arc<Status>,
    id: Option<ServerId>,
) -> Registry {
    let registry = crate::tools::register(registry, status.clone());
    match id {
        Some(id) => task_tools::register(registry, config, &config.limits, id),
        None => registry,
    }
}

/// What metrics are labelled with.
fn names(dispatcher: &Dispatcher) -> Names {
    Names {
        methods: MethodKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        tools: dispatcher.tools().map(str::to_owned).collect(),
        errors: ErrorKind::ALL.iter().map(|info| info.label).collect(),
        p2p_operations: p2p::operation_names(),
        ..p2p::protocol_names()
    }
}

fn watchdog(config: &ServerConfig, names: &Names) -> Result<Watchdog, ServerError> {
    let settings = WatchdogSettings {
        stall_after: Duration::from_millis(config.stall_threshold_ms),
        activities: names.tools.clone(),
    };
    Watchdog::start(settings).map_err(|error| ServerError::Startup(error.into()))
}

/// Binds every address of the configuration, and puts the ports that the kernel chose into it; the sockets that keep the
/// ports, and the address of the probes.
fn reserve_all(config: &mut ServerConfig) -> Result<(Vec<Socket>, Option<SocketAddr>), ServerError> {
    let mut reserved = Vec::new();
    for address in &mut config.listen {
        *address = reserve(*address, &mut reserved)?;
    }
    let probes = config.probe_listen.map(|address| reserve(address, &mut reserved)).transpose()?;
    Ok((reserved, probes))
}

/// Binds without listening, so that port 0 becomes one port for every core and a taken address is refused early.
pub(super) fn reserve(address: SocketAddr, reserved: &mut Vec<Socket>) -> Result<SocketAddr, ServerError> {
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
        p2p_tools: config.p2p && config.p2p_tools,
        taskqueue_tools: config.p2p && config.p2p_tools && config.taskqueue_tools,
        workflow_tools: config.p2p && config.p2p_tools && config.workflow_tools,
        offload: Some(threads.clone()),
        ..McpOptions::default()
    }
}
