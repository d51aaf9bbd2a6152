//! The table of settings. A new field of [`ServerConfig`] gets a row here and is done everywhere.

use std::sync::LazyLock;

use super::ServerConfig;
use super::field::Field;
use super::kind::{Kind, Value};
use crate::limits::Limit;

/// How another name's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As the setting itself.
    Same,
    /// A flag that means the opposite.
    Inverted,
    /// Seconds, with or without a fraction, for a setting in milliseconds.
    Seconds,
    /// Only the IP address of `listen`.
    Host,
    /// Only the port of `listen`.
    Port,
    /// Only the port of `p2p_listen`, on 127.0.0.1.
    P2pPort,
}

/// A name in the environment that users had before this server, and how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    /// The variable's name.
    pub name: &'static str,
    /// What its value means.
    pub reading: Reading,
}

/// One setting: a row of the table.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its key in the file; limits stand in the section `[limits]`.
    pub key: &'static str,
    /// The section of the file, empty for the top.
    pub section: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Older names in the environment; they yield to `RINGMESH_<KEY>`.
    pub aliases: &'static [Alias],
    /// The long flag, without dashes; empty for limits, which are set by `--limit NAME=VALUE`, and for secrets.
    pub flag: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// Whether its value is kept out of every output.
    pub secret: bool,
    pub(super) access: Access,
}

/// Where a setting's value lies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Field { get: fn(&ServerConfig) -> Value, put: fn(&mut ServerConfig, Value) },
    Limit(Limit),
}

impl Setting {
    /// Its name in the environment: `RINGMESH_` and the key in capitals.
    pub fn variable(&self) -> String {
        format!("RINGMESH_{}", self.key.to_ascii_uppercase())
    }

    /// Its key with the section before it, as `limits.max_head_bytes`.
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }

    pub(super) fn get(&self, config: &ServerConfig) -> Value {
        match self.access {
            Access::Field { get, .. } => get(config),
            Access::Limit(limit) => Value::Integer(config.limits.value(limit)),
        }
    }

    pub(super) fn put(&self, config: &mut ServerConfig, value: Value) {
        match self.access {
            Access::Field { put, .. } => put(config, value),
            Access::Limit(limit) => {
                let mut number = 0_u64;
                number.put(value);
                config.limits.set(limit, number).expect("invariant: the kind has the limit's range");
            }
        }
    }
}

/// Every setting: the rows below, then one for each limit.
pub fn settings() -> &'static [Setting] {
    static TABLE: LazyLock<Vec<Setting>> =
        LazyLock::new(|| ROWS.iter().cloned().chain(limit_rows()).collect());
    &TABLE
}

fn limit_rows() -> impl Iterator<Item = Setting> {
    Limit::ALL.iter().map(|info| Setting {
        key: info.name,
        section: "limits",
        kind: Kind::Integer { min: info.min, max: info.max, optional: false },
        aliases: match info.limit {
            Limit::ToolTime => EXEC_TIMEOUT,
            Limit::P2pRequestRate => RATE_LIMIT_RPS,
            Limit::P2pRequestBurst => RATE_LIMIT_BURST,
            _ => &[],
        },
        flag: "",
        doc: info.doc,
        secret: false,
        access: Access::Limit(info.limit),
    })
}

const EXEC_TIMEOUT: &[Alias] = &[Alias { name: "MCPPP_EXEC_TIMEOUT_S", reading: Reading::Seconds }];

const RATE_LIMIT_RPS: &[Alias] = &[Alias { name: "MCPPP_RATE_LIMIT_RPS", reading: Reading::Same }];
const RATE_LIMIT_BURST: &[Alias] = &[Alias { name: "MCPPP_RATE_LIMIT_BURST", reading: Reading::Same }];

/// `row!(field: kind, flag, "sentence"; aliases)`: the key is the field's name. A secret has no flag, because everybody
/// on the machine can read a command line.
macro_rules! row {
    (secret $field:ident: $kind:expr, $doc:literal $(; $($alias:literal $reading:ident),+)?) => {
        Setting { secret: true, ..row!($field: $kind, "", $doc $(; $($alias $reading),+)?) }
    };
    ($field:ident: $kind:expr, $flag:literal, $doc:literal $(; $($alias:literal $reading:ident),+)?) => {
        Setting {
            key: stringify!($field),
            section: "",
            kind: $kind,
            aliases: &[$($(Alias { name: $alias, reading: Reading::$reading }),+)?],
            flag: $flag,
            doc: $doc,
            secret: false,
            access: Access::Field {
                get: |config| config.$field.value(),
                put: |config, value| config.$field.put(value),
            },
        }
    };
}

const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max, optional: false }
}

const fn optional_integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max, optional: true }
}

/// The longest time that a setting in milliseconds may name: one day.
const DAY_MS: u64 = 86_400_000;

#[rustfmt::skip]
const ROWS: &[Setting] = &[
    row!(server_name: Kind::Text { max_chars: 128, optional: false }, "server-name",
        "The name the server gives itself to clients."; "MCP_SERVER_NAME" Same),
    row!(instructions: Kind::Text { max_chars: 16_384, optional: true }, "instructions",
        "What a client's model is told about using this server."),
    row!(listen: Kind::Addresses, "listen",
        "Addresses that serve MCP; port 0 lets the kernel choose."; "MCP_HOST" Host, "MCP_PORT" Port),
    row!(probe_listen: Kind::Address, "probe-listen",
        "An address of its own for probes and metrics; unset, they share `listen`."),
    row!(mount_path: Kind::Path, "mount-path",
        "The path of the MCP endpoint."; "MCP_MOUNT_PATH" Same),
    row!(data_dir: Kind::Directory, "data-dir",
        "Where the server keeps what must outlive it; unset, `$STATE_DIRECTORY`, `$XDG_STATE_HOME/ringmesh` or `~/.local/state/ringmesh`."),
    row!(http_sse: Kind::Flag, "http-sse",
        "Serves the HTTP+SSE transport of 2024-11-05 at `/sse` and `/messages`."),
    row!(cores: Kind::Cores, "cores",
        "The cores to use; unset means all that affinity and cgroup quota allow."),
    row!(max_cores: optional_integer(1, 4_096), "max-cores",
        "At most this many cores."),
    row!(backlog: integer(1, 65_535), "backlog",
        "Connections the kernel holds per core before they are accepted; `net.core.somaxconn` caps it."),
    row!(allowed_hosts: Kind::Hosts, "allowed-host",
        "`Host` values accepted besides loopback names and bound addresses."; "MCP_ALLOWED_HOSTS" Same),
    row!(cors_origins: Kind::Origins, "cors-origin",
        "Origins that browsers may call from."; "MCP_CORS_ORIGINS" Same),
    row!(allow_tools: Kind::Globs, "allow-tool",
        "Tools that are offered; empty means all."),
    row!(deny_tools: Kind::Globs, "deny-tool",
        "Tools that are not offered; wins over `allow_tools`."),
    row!(p2p: Kind::Flag, "p2p",
        "Whether there is any libp2p: listeners, dialling and the peer-to-peer tools."; "MCP_DISABLE_P2P" Inverted),
    row!(p2p_listen: Kind::P2pListen, "p2p-listen",
        "Addresses that serve libp2p; one that `listen` has too serves both. Empty means that no peer can connect.";
        "IPFS_DATASETS_PY_TASK_P2P_LISTEN_PORT" P2pPort, "IPFS_ACCELERATE_PY_TASK_P2P_LISTEN_PORT" P2pPort),
    row!(p2p_key_file: Kind::File, "p2p-key-file",
        "The file of the node's private key; unset, `identity.key` in the data directory, made at the first start."),
    row!(secret p2p_token: Kind::Text { max_chars: 1_024, optional: true },
        "The token that a request over the task queue RPC must carry, and that lets a peer change state.";
        "IPFS_DATASETS_PY_TASK_P2P_TOKEN" Same, "IPFS_ACCELERATE_PY_TASK_P2P_TOKEN" Same),
    row!(p2p_bootstrap_peers: Kind::PeerAddresses, "p2p-bootstrap-peer",
        "Peers that are dialled and told of this node from the start.";
        "IPFS_DATASETS_PY_TASK_P2P_BOOTSTRAP_PEERS" Same, "IPFS_ACCELERATE_PY_TASK_P2P_BOOTSTRAP_PEERS" Same),
    row!(p2p_allow_peers: Kind::PeerIds, "p2p-allow-peer",
        "Peers that may call everything, and be dialled."),
    row!(p2p_deny_peers: Kind::PeerIds, "p2p-deny-peer",
        "Peers whose connections are refused; wins over `p2p_allow_peers`."),
    row!(p2p_allow_only: Kind::Flag, "p2p-allow-only",
        "Refuses the connections of all peers but those of `p2p_allow_peers` and `p2p_bootstrap_peers`."),
    row!(p2p_open: Kind::Flag, "p2p-open",
        "Lets every peer change state, also those that connect from beyond this machine."),
    row!(p2p_dial: Kind::Choice(&["known", "any"]), "p2p-dial",
        "Whom a caller may have dialled: peers that are known, or any, loopback and link-local addresses included."),
    row!(p2p_call_tool: Kind::Flag, "p2p-call-tool",
        "Lets peers call tools over the task queue RPC (`call_tool`).";
        "IPFS_DATASETS_PY_TASK_P2P_ENABLE_TOOLS" Same, "IPFS_ACCELERATE_PY_TASK_P2P_ENABLE_TOOLS" Same),
    row!(p2p_cache: Kind::Flag, "p2p-cache",
        "Lets peers use the cache over the task queue RPC.";
        "IPFS_DATASETS_PY_TASK_P2P_ENABLE_CACHE" Same, "IPFS_ACCELERATE_PY_TASK_P2P_ENABLE_CACHE" Same),
    row!(p2p_peer_timeout_ms: integer(1_000, DAY_MS), "p2p-peer-timeout-ms",
        "Time after which a peer that was not heard of no longer counts as alive.";
        "IPFS_DATASETS_PY_TASK_P2P_PEER_TIMEOUT_S" Seconds, "IPFS_ACCELERATE_PY_TASK_P2P_PEER_TIMEOUT_S" Seconds),
    row!(p2p_heartbeat_ms: integer(100, DAY_MS), "p2p-heartbeat-ms",
        "Time between two heartbeats to each bootstrap peer and each known one."),
    row!(p2p_session: Kind::Text { max_chars: 256, optional: true }, "p2p-session",
        "The session that this node says it belongs to.";
        "IPFS_DATASETS_PY_TASK_P2P_SESSION" Same, "IPFS_ACCELERATE_PY_TASK_P2P_SESSION" Same),
    row!(p2p_deterministic: Kind::Flag, "p2p-deterministic",
        "Gives a claim the tasks that its peer owns first; others are kept for their owners for `task_ownership_hold_ms`.";
        "IPFS_DATASETS_PY_TASK_P2P_DETERMINISTIC" Same, "IPFS_ACCELERATE_PY_TASK_P2P_DETERMINISTIC" Same),
    row!(journal_mode: Kind::Choice(&["always", "interval", "none"]), "journal-mode",
        "When a change of the task queue is acknowledged: once it is on the medium, or once the kernel has it, which then goes there within `journal_interval_ms` or when the kernel likes."),
    row!(journal_interval_ms: integer(1, 60_000), "journal-interval-ms",
        "Time that a loss of power can take in mode `interval`."),
    row!(journal_repair: Kind::Flag, "repair",
        "Takes what is whole of a damaged journal and sets the damaged files aside; without it a damaged journal refuses the start."),
    row!(require_fencing: Kind::Flag, "require-fencing",
        "Refuses the end of a task without the fencing token of its claim."),
    row!(task_type_limits: Kind::TypeLimits, "task-type-limit",
        "How many tasks of a type may run at one time."),
    row!(task_ageing_ms: integer(0, DAY_MS), "task-ageing-ms",
        "Waiting that is worth one step of priority; 0 keeps priority strict."),
    row!(p2p_tools: Kind::Flag, "p2p-tools",
        "Offers the peer-to-peer tools, when `p2p` is on."),
    row!(taskqueue_tools: Kind::Flag, "taskqueue-tools",
        "Offers the task queue tools, when `p2p_tools` is on."),
    row!(workflow_tools: Kind::Flag, "workflow-tools",
        "Offers the workflow tools, when `p2p_tools` is on."),
    row!(log_level: Kind::LogLevels, "log-level",
        "What is logged, for all or by target."),
    row!(log_format: Kind::Choice(&["text", "json"]), "log-format",
        "Lines for people, or one JSON object a line."; "MCP_LOG_FORMAT" Same),
    row!(debug: Kind::Flag, "debug",
        "Raises a `log_level` that was left at its default to debug."; "MCP_DEBUG" Same),
    row!(shutdown_delay_ms: integer(0, DAY_MS), "shutdown-delay-ms",
        "Wait between reporting not ready and closing the listeners."),
    row!(shutdown_grace_ms: integer(0, DAY_MS), "shutdown-grace-ms",
        "Time that requests in flight have to finish at shutdown."),
    row!(stall_threshold_ms: integer(100, DAY_MS), "stall-threshold-ms",
        "Time without a tick after which a core counts as stalled."),
    row!(adaptive_spin_us: integer(0, 1_000), "adaptive-spin-us",
        "Longest time a core looks for more before it sleeps, while that pays off; 0 is never."),
    row!(spin_before_park_us: integer(0, 10_000), "spin-before-park-us",
        "Time a core spins before it parks: lower latency, for a whole core."),
    row!(run_timeout_ms: optional_integer(1, 365 * DAY_MS), "run-timeout-ms",
        "Time after which the server stops by itself."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_in_every_layer() {
        let mut paths = BTreeSet::new();
        let mut variables = BTreeSet::new();
        let mut flags = BTreeSet::new();
        for setting in settings() {
            assert!(paths.insert(setting.path()), "{}", setting.key);
            assert!(variables.insert(setting.variable()), "{}", setting.key);
            assert!(setting.flag.is_empty() || flags.insert(setting.flag), "{}", setting.key);
            assert!(
                setting.aliases.iter().all(|alias| variables.insert(alias.name.to_owned())),
                "{}",
                setting.key
            );
        }
    }

    #[test]
    fn every_default_is_read_back_as_itself() {
        let mut copy = ServerConfig { server_name: "changed".to_owned(), ..ServerConfig::default() };
        for setting in settings() {
            let value = setting.get(&ServerConfig::default());
            setting.put(&mut copy, value);
        }
        assert_eq!(copy, ServerConfig::default());
    }
}
