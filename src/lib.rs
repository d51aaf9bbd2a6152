//! ringmesh: a thread-per-core server for the Model Context Protocol on an io_uring reactor.
//!
//! The core that accepts a connection parses its requests, runs its tools and writes its answers; no request crosses a
//! thread. A tool is a typed async function in a [`Registry`]; a [`Server`] offers it:
//!
//! ```no_run
//! use ringmesh::{Context, Registry, Server, ServerConfig, CallError};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Greet { name: String }
//!
//! async fn greet(args: Greet, _ctx: Context) -> Result<String, CallError> {
//!     Ok(format!("Hello, {}", args.name))
//! }
//!
//! let registry = Registry::new().tool("greet", "Greets somebody", greet);
//! Server::new(ServerConfig::default()).registry(registry).run()?;
//! # Ok::<(), ringmesh::BoxError>(())
//! ```
//!
//! # The map
//!
//! Arrows of dependency point downwards:
//!
//! - [`cli`]: the command line of `ringmesh`.
//! - [`worker`]: claims tasks from a server and runs commands for them.
//! - [`client`]: a client of servers of every revision, over one transport each.
//! - [`server`]: the wiring; one server, its cores, their connections. The main path is [`Server::run`].
//! - [`tools`]: the tools that the command offers out of the box.
//! - [`config`]: every setting, from defaults, file, environment and flags.
//! - [`p2p`]: libp2p: identity, connections, the protocols that peers speak, the node of a core.
//! - [`queue`]: tasks, leases and the cache as state machines; their records and recovery.
//! - [`store`]: the queue and the cache of the process, kept: locks, journal, waiters.
//! - [`scheduler`]: who does what among peers: clocks, ownership, workflow tasks.
//! - [`observe`]: metrics, probes, logs.
//! - [`runtime`]: executors, streams, scopes, deadlines, the watchdog; the only room that names glommio.
//! - [`journal`]: a durable log of opaque records, and its recovery.
//! - [`http`]: HTTP/1.1, bytes in and bytes out.
//! - [`mcp`]: the protocol: revisions, registry, validation, sessions, dispatch.
//! - [`limits`]: the table of everything that is bounded.
//!
//! `ARCHITECTURE.md` says why it is built like this.

#[cfg(panic = "abort")]
compile_error!("ringmesh answers a panicking tool and serves on; build it with panic = \"unwind\"");

pub mod cli;
pub mod client;
pub mod config;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod journal;
pub mod limits;
pub mod mcp;
pub mod observe;
pub mod p2p;
pub mod queue;
pub mod runtime;
pub mod scheduler;
pub mod server;
pub mod store;
pub mod tools;
pub mod worker;

pub use config::{ConfigError, ServerConfig};
pub use mcp::{
    CallError, Context, Json, Prompt, Registry, RegistryHandle, Reply, Resource, ResourceTemplate, Tool,
};
pub use observe::{LogFormat, init_tracing};
pub use server::{
    App, BoxError, CoreInfo, Ended, Readiness, Server, ServerError, ServerHandle, Start, app_from_env,
};

/// The examples of the guide are compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/authoring.md")]
mod guide {}
