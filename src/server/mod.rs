//! The wiring: one server, its cores, their connections.
//!
//! The main path: [`Server::run`] → `run` (start, wait, stop) → `core` (accept, drain) → `connection` (read, write) →
//! `exchange` (route, MCP) → `flight` (a call that takes time).

mod apart;
mod app;
mod blocking;
mod budget;
mod connection;
mod core;
mod data_dir;
mod embedded;
mod error;
mod exchange;
mod flight;
mod hooks;
mod identity_file;
mod job;
mod kept;
mod key_file;
mod p2p;
mod probes;
mod readiness;
mod roster;
mod run;
mod service;
mod serving;
mod setup;
mod shared;
mod sse;
mod status;
mod task_tools;
mod tasks;

use std::net::SocketAddr;
use std::time::Duration;

pub use crate::runtime::BoxError;
pub use app::{App, app_from_env};
pub(crate) use data_dir::journal_path;
pub use error::ServerError;
pub use hooks::CoreInfo;
pub(crate) use identity_file::{Keeping, identity as node_identity};
pub(crate) use key_file::rotate as rotate_keys;
pub use readiness::{Readiness, Start};
pub use run::Ended;
pub(crate) use run::plan;

use crate::config::ServerConfig;
use crate::mcp::{Registry, RegistryHandle, ServerInfo};
use crate::runtime::{Scope, StopFlag};
use hooks::Hooks;

/// A server before it runs: its configuration, what it offers, its hooks.
///
/// Three ways lead on: [`Server::run`] on cores of its own, [`Server::run_in_executor`] or [`Server::run_in_scope`] in a
/// caller's glommio executor, and [`Server::into_app`] without any socket.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    info: ServerInfo,
    registry: RegistryHandle,
    builtin_tools: bool,
    signals: bool,
    service: bool,
    default_data_dir: bool,
    hooks: Hooks,
    stop: StopFlag,
    readiness: Readiness,
}

/// Stops a server from any thread, and tells when it is up.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    stop: StopFlag,
    readiness: Readiness,
}

impl ServerHandle {
    /// Asks the server to shut down in order. Returns at once; safe to call twice.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// The signal that the server is up, with its bound addresses.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }
}

impl Server {
    /// A server with this configuration and no tools.
    pub fn new(config: ServerConfig) -> Self {
        tracing::info!(name = config.server_name, "initialized");
        Self {
            config,
            info: ServerInfo::default(),
            registry: RegistryHandle::before(Registry::new()),
            builtin_tools: false,
            signals: false,
            service: false,
            default_data_dir: false,
            hooks: Hooks::default(),
            stop: StopFlag::new(),
            readiness: Readiness::new(),
        }
    }

    /// The configuration it will run with.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Overrides the name that clients see.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.server_name = name.into();
        self
    }

    /// Overrides the addresses to listen on.
    #[must_use]
    pub fn listen(mut self, addresses: impl Into<Vec<SocketAddr>>) -> Self {
        self.config.listen = addresses.into();
        self
    }

    /// Overrides the time after which the server stops by itself.
    #[must_use]
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.config.run_timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Sets what it says of itself besides its name: title, version, description, website and icons. The name stays
    /// that of the configuration.
    #[must_use]
    pub fn info(mut self, info: ServerInfo) -> Self {
        self.info = info;
        self
    }

    /// Sets what it offers: tools, resources, prompts. What was set or added before is dropped.
    #[must_use]
    pub fn registry(self, registry: Registry) -> Self {
        self.registry.replace(registry);
        self
    }

    /// A handle that changes what it offers, before it runs and while it does.
    pub fn registry_handle(&self) -> RegistryHandle {
        self.registry.clone()
    }

    /// Adds the tools that the command offers: `echo`, `server_status` and, where the configuration has libp2p and
    /// `taskqueue_tools` on and the server has sockets, the tools of the task queue with tasks as resources.
    #[must_use]
    pub fn builtin_tools(mut self) -> Self {
        self.builtin_tools = true;
        self
    }

    /// Has SIGTERM, SIGINT and SIGHUP (unless it is ignored already) stop the server, a second one end the process at once with status 130.
    #[must_use]
    pub fn handle_signals(mut self) -> Self {
        self.signals = true;
        self
    }

    /// Tells the service manager that `NOTIFY_SOCKET` names, if any, when the server is ready, alive and stopping.
    #[must_use]
    pub fn notify_service_manager(mut self) -> Self {
        self.service = true;
        self
    }

    /// Keeps its state where services and users keep theirs, if the configuration names no `data_dir`: in
    /// `$STATE_DIRECTORY`, which systemd sets, in `$XDG_STATE_HOME/ringmesh`, or in `~/.local/state/ringmesh`. Without
    /// this and without `data_dir` nothing is written, and calls between two rounds end with the process.
    #[must_use]
    pub fn default_data_dir(mut self) -> Self {
        self.default_data_dir = true;
        self
    }

    /// Runs once, before any core starts; an error stops the start.
    #[must_use]
    pub fn on_startup(mut self, hook: impl FnOnce() -> Result<(), BoxError> + Send + 'static) -> Self {
        self.hooks.on_startup(hook);
        self
    }

    /// Runs once, after every core has ended; the last registered runs first.
    #[must_use]
    pub fn on_shutdown(mut self, hook: impl FnOnce() -> Result<(), BoxError> + Send + 'static) -> Self {
        self.hooks.on_shutdown(hook);
        self
    }

    /// Runs on every core before it listens; an error stops the start.
    #[must_use]
    pub fn on_core_startup<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(CoreInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.hooks.on_core_startup(hook);
        self
    }

    /// Runs on every core after its last connection has ended; the last registered runs first.
    #[must_use]
    pub fn on_core_shutdown<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(CoreInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.hooks.on_core_shutdown(hook);
        self
    }

    /// A handle that stops the server and tells when it is up; take it before the server runs.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { stop: self.stop.clone(), readiness: self.readiness.clone() }
    }

    /// Runs on cores of its own and blocks the calling thread until the server has ended.
    ///
    /// # Errors
    /// Whatever keeps it from starting or ends it early, see [`ServerError`]; [`ServerError::InsideExecutor`] when the
    /// calling thread runs an executor.
    pub fn run(self) -> Result<Ended, ServerError> {
        run::on_own_cores(self)
    }

    /// Runs on the caller's own glommio executor, on its one core, until the server is stopped.
    ///
    /// # Errors
    /// As [`Server::run`]; [`ServerError::OutsideExecutor`] when no executor runs on this thread.
    pub async fn run_in_executor(self) -> Result<Ended, ServerError> {
        embedded::in_executor(self, None).await
    }

    /// As [`Server::run_in_executor`], as a part of `scope`: cancelling the scope shuts the server down in order.
    ///
    /// # Errors
    /// As [`Server::run_in_executor`].
    pub async fn run_in_scope(self, scope: &Scope) -> Result<Ended, ServerError> {
        embedded::in_executor(self, Some(scope.clone())).await
    }

    /// The server without sockets: bytes of a request in, bytes of the answer out.
    ///
    /// # Errors
    /// A configuration or registry that cannot be used.
    pub fn into_app(self) -> Result<App, ServerError> {
        App::new(self)
    }
}
