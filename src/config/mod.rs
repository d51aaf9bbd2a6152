//! Configuration: defaults, then a TOML file, then the environment, then flags; each layer wins over the one before.
//!
//! One table of settings ([`settings`]) drives everything: how a value is read, what is allowed, which names it has in
//! the file, the environment and on the command line, how it is printed, and the table in `docs/configuration.md`.
//! Nothing is half accepted: every wrong value, unknown key and misspelt `RINGMESH_` variable is reported at once.

mod environment;
mod error;
mod field;
mod file;
mod kind;
mod load;
mod rules;
mod settings;
mod show;
mod suggest;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::limits::Limits;

pub use crate::observe::LogFormat;
pub use error::{ConfigError, Problem};
pub use field::Secret;
pub(crate) use kind::type_limit;
pub use kind::{Kind, Raw};
pub use load::{FlagValue, Loaded, Origin, Sources};
pub use settings::{Alias, Reading, Setting, settings};
pub use show::settings_markdown;

/// Everything a server can be told, as plain values.
///
/// Build one by value with `..ServerConfig::default()`, or read one with [`ServerConfig::from_env`] or [`Sources`].
/// A value built by hand is checked by [`ServerConfig::validate`] when the server starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The name the server gives itself to clients; 1 to 128 characters.
    pub server_name: String,
    /// What a client's model is told about using this server; at most 16 KiB.
    pub instructions: Option<String>,
    /// Addresses that serve MCP; at least one. Port 0 lets the kernel choose, the same port on every core.
    pub listen: Vec<SocketAddr>,
    /// An address of its own for `/health`, `/livez`, `/readyz` and `/metrics`; unset, they share `listen`.
    pub probe_listen: Option<SocketAddr>,
    /// The path of the MCP endpoint; starts with a slash, has no trailing one.
    pub mount_path: String,
    /// Where the server keeps what must outlive it; unset, see
    /// [`Server::default_data_dir`](crate::Server::default_data_dir).
    pub data_dir: Option<PathBuf>,
    /// Whether `/sse` and `/messages` serve the HTTP+SSE transport of 2024-11-05 beside the endpoint.
    pub http_sse: bool,
    /// The cores to use, by number; unset means every core that affinity and cgroup quota allow.
    pub cores: Option<Vec<usize>>,
    /// At most this many cores, for machines that are shared; unset means no such bound.
    pub max_cores: Option<usize>,
    /// Connections the kernel may hold per listener and core before they are accepted.
    pub backlog: u32,
    /// `Host` values accepted besides loopback names and the bound addresses; without a port, any port matches.
    pub allowed_hosts: Vec<String>,
    /// Origins that browsers may call from, `scheme://host[:port]`, or `*`.
    pub cors_origins: Vec<String>,
    /// Globs of the tools that are offered; empty means all.
    pub allow_tools: Vec<String>,
    /// Globs of the tools that are not offered; they win over `allow_tools`.
    pub deny_tools: Vec<String>,
    /// Whether there is any libp2p at all.
    pub p2p: bool,
    /// Addresses that serve libp2p, as `/ip4/127.0.0.1/tcp/4001`; empty means none. Port 0 lets the kernel choose.
    pub p2p_listen: Vec<String>,
    /// The file of the node's private key; unset, it lies in the data directory, or lasts as long as the process.
    pub p2p_key_file: Option<PathBuf>,
    /// The token that peers share.
    pub p2p_token: Option<Secret>,
    /// Multiaddrs that end in `/p2p/ID`.
    pub p2p_bootstrap_peers: Vec<String>,
    /// Peer ids that may call everything.
    pub p2p_allow_peers: Vec<String>,
    /// Peer ids whose connections are refused.
    pub p2p_deny_peers: Vec<String>,
    /// Whether only allowed and bootstrap peers may connect.
    pub p2p_allow_only: bool,
    /// Whether every peer may change state, wherever it connects from.
    pub p2p_open: bool,
    /// `known` or `any`: whom a caller may have dialled.
    pub p2p_dial: String,
    /// Whether peers may call tools over the task queue RPC.
    pub p2p_call_tool: bool,
    /// Whether peers may use the cache over the task queue RPC.
    pub p2p_cache: bool,
    /// Milliseconds after which a silent peer no longer counts as alive.
    pub p2p_peer_timeout_ms: u64,
    /// Milliseconds between two heartbeats.
    pub p2p_heartbeat_ms: u64,
    /// The session that this node says it belongs to.
    pub p2p_session: Option<String>,
    /// Whether a claim gets the tasks that its peer owns before others.
    pub p2p_deterministic: bool,
    /// `always`, `interval` or `none`: when a change of the task queue counts as kept.
    pub journal_mode: String,
    /// Milliseconds after which a change is on the medium in mode `interval`.
    pub journal_interval_ms: u64,
    /// Whether a damaged journal is taken as far as it is whole, its damaged files set aside.
    pub journal_repair: bool,
    /// Whether the end of a task needs the fencing token of its claim.
    pub require_fencing: bool,
    /// Types of tasks with how many of them may run at one time, as `TYPE=COUNT`.
    pub task_type_limits: Vec<String>,
    /// Milliseconds of waiting that are worth one step of priority; 0: priority is strict.
    pub task_ageing_ms: u64,
    /// Whether any peer-to-peer tool is offered; without effect unless `p2p` is on.
    pub p2p_tools: bool,
    /// Whether the task queue tools are offered; without effect unless `p2p_tools` is on.
    pub taskqueue_tools: bool,
    /// Whether the workflow tools are offered; without effect unless `p2p_tools` is on.
    pub workflow_tools: bool,
    /// A level (`off` to `trace`), or several as `target=level`, separated by commas.
    pub log_level: String,
    /// Lines for people, or one JSON object a line.
    pub log_format: LogFormat,
    /// Raises a `log_level` that was left at its default to `debug`.
    pub debug: bool,
    /// Milliseconds between reporting not ready and closing the listeners, so that balancers look away first.
    pub shutdown_delay_ms: u64,
    /// Milliseconds that requests in flight have to finish once the listeners are closed.
    pub shutdown_grace_ms: u64,
    /// Milliseconds without a tick after which a core counts as stalled.
    pub stall_threshold_ms: u64,
    /// Microseconds that a core at most looks for more on its sockets before it sleeps, as long as that has been paying off.
    pub adaptive_spin_us: u64,
    /// Microseconds a core spins before it parks: lower latency for one connection, at the price of a whole core.
    pub spin_before_park_us: u64,
    /// Milliseconds after which the server stops by itself; unset means never.
    pub run_timeout_ms: Option<u64>,
    /// Every limit; see [`Limits`].
    pub limits: Limits,
}

/// The level that `log_level` has when nobody sets it.
const DEFAULT_LOG_LEVEL: &str = "info";

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            server_name: "ringmesh".to_owned(),
            instructions: None,
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8000))],
            probe_listen: None,
            mount_path: "/mcp".to_owned(),
            data_dir: None,
            http_sse: true,
            cores: None,
            max_cores: None,
            backlog: 1024,
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            allow_tools: Vec::new(),
            deny_tools: Vec::new(),
            p2p: true,
            p2p_listen: Vec::new(),
            p2p_key_file: None,
            p2p_token: None,
            p2p_bootstrap_peers: Vec::new(),
            p2p_allow_peers: Vec::new(),
            p2p_deny_peers: Vec::new(),
            p2p_allow_only: false,
            p2p_open: false,
            p2p_dial: "known".to_owned(),
            p2p_call_tool: false,
            p2p_cache: false,
            p2p_peer_timeout_ms: 300_000,
            p2p_heartbeat_ms: 10_000,
            p2p_session: None,
            p2p_deterministic: true,
            journal_mode: "always".to_owned(),
            journal_interval_ms: 100,
            journal_repair: false,
            require_fencing: false,
            task_type_limits: Vec::new(),
            task_ageing_ms: 0,
            p2p_tools: true,
            taskqueue_tools: true,
            workflow_tools: true,
            log_level: DEFAULT_LOG_LEVEL.to_owned(),
            log_format: LogFormat::Text,
            debug: false,
            shutdown_delay_ms: 0,
            shutdown_grace_ms: 10_000,
            stall_threshold_ms: 1_000,
            adaptive_spin_us: 50,
            spin_before_park_us: 0,
            run_timeout_ms: None,
            limits: Limits::default(),
        }
    }
}

impl ServerConfig {
    /// Reads the configuration of this process: defaults, then the file that `RINGMESH_CONFIG` names, if any, then
    /// the environment.
    ///
    /// # Errors
    /// Every wrong value and unknown name, with its origin and what is allowed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Sources::from_process(None)?.load().map(|loaded| loaded.config)
    }

    /// Checks values that were set in code, by the same rules as those that were read.
    ///
    /// # Errors
    /// Every field that is outside what its setting allows.
    pub fn validate(&self) -> Result<(), ConfigError> {
        rules::validate(self)
    }

    /// The log filter in force: `log_level`, unless `debug` raises its default.
    pub fn log_filter(&self) -> &str {
        if self.debug && self.log_level == DEFAULT_LOG_LEVEL { "debug" } else { &self.log_level }
    }
}
