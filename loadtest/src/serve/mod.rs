//! The servers that a comparison starts: this one as it is, and the bridged baseline, with the same tools, queue and peer
//! code.
//!
//! The baseline is built as the server was that this one replaces: an HTTP front in one runtime, and the runtime that
//! owns libp2p behind a bridge. [`front`] is HTTP on a tokio multi-thread runtime; [`behind`] is the executor that owns
//! the node, the queue and the tools that need them; [`bridge`] is what lies between.
//!
//! It is meant to be the best of its kind: the bridge lasts, requests are taken from it in batches, the executor's queue is
//! the one for work that other threads wake, the front parses with this server's own parser (so no side has the faster
//! one), what needs no peer is answered in front. The front has a worker thread for each core, and the executor runs on
//! any of the same cores, as the kernel places it; native has an executor pinned to each.
//!
//! The second variant makes a node and a connection for each call to a peer, as the helper of the replaced server did. It
//! is kept apart so that a report can tell bridging from dialling.

mod behind;
mod bridge;
mod front;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ringmesh::{App, Server, ServerConfig, ServerHandle, Start};

use crate::values::CpuList;

/// How long a server may take to start.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Variant {
    /// The server as it is.
    Native,
    /// HTTP on tokio, and a lasting bridge to the executor that owns the queue and the peers.
    Bridge,
    /// The same with a new node and a new connection for each call to a peer.
    BridgeDial,
}

/// A server for comparisons.
#[derive(Args, Debug, Clone)]
pub(crate) struct ServeArgs {
    /// Which server.
    #[arg(value_enum)]
    variant: Variant,
    /// Address of the HTTP endpoint /mcp.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address of the libp2p node.
    #[arg(long, default_value = "/ip4/127.0.0.1/tcp/0")]
    p2p_listen: String,
    /// Where the queue is kept (default: in memory).
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// When a change is on the medium: always, interval or none.
    #[arg(long, default_value = "none")]
    journal_mode: String,
    /// The cores of the whole process.
    #[arg(long, value_name = "LIST", default_value = "0")]
    cpus: CpuList,
    /// A node that remote operations may go to, as /ip4/127.0.0.1/tcp/4001/p2p/ID.
    #[arg(long, value_name = "MULTIADDR")]
    remote: Option<String>,
}

impl ServeArgs {
    /// What all variants have alike.
    fn config(&self) -> ServerConfig {
        ServerConfig {
            listen: vec![self.listen],
            p2p_listen: vec![self.p2p_listen.clone()],
            p2p_bootstrap_peers: self.remote.iter().cloned().collect(),
            // Otherwise a node keeps tasks for those of its peers that own them.
            p2p_deterministic: false,
            journal_mode: self.journal_mode.clone(),
            data_dir: self.data_dir.clone(),
            ..ServerConfig::default()
        }
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &ServeArgs) -> Result<(), String> {
    // What goes wrong is said on standard error, whoever set that up.
    let _ = ringmesh::init_tracing("warn", ringmesh::LogFormat::Text);
    hold_on(&args.cpus)?;
    match args.variant {
        Variant::Native => native(args),
        Variant::Bridge | Variant::BridgeDial => bridge::run(args),
    }
}

fn native(args: &ServeArgs) -> Result<(), String> {
    let config = ServerConfig { cores: Some(args.cpus.0.clone()), ..args.config() };
    let server = Server::new(config).builtin_tools().handle_signals();
    let handle = server.handle();
    let told = std::thread::spawn(move || announce_native(&handle));
    let ended = server.run().map_err(|error| error.to_string());
    let told = told.join().map_err(|_| "the announcement panicked".to_owned())?;
    ended.and(told)
}

/// Says where the server is as soon as it is there.
fn announce_native(handle: &ServerHandle) -> Result<(), String> {
    let Start::Ready(addresses) = handle.readiness().wait_timeout(START_WITHIN) else { return Ok(()) };
    let http = addresses.first().copied().ok_or("it listens nowhere")?;
    let said = ask_health(http).and_then(|health| announce(http, &health));
    if said.is_err() {
        handle.stop();
    }
    said
}

/// `/health` over a connection of its own.
fn ask_health(http: SocketAddr) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = std::net::TcpStream::connect(http)?;
        stream.write_all(HEALTH)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().map_err(|error| format!("{http} does not answer: {error}"))
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The one line on standard output: where HTTP is, and where the answer of `/health` says that the node is.
fn announce(http: SocketAddr, health: &[u8]) -> Result<(), String> {
    let body = crate::key::find(health, b"\r\n\r\n").map(|at| &health[at + 4..]).unwrap_or_default();
    let health: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("/health is no JSON: {error}"))?;
    let line =
        serde_json::json!({"http": http, "p2p": health["p2p"]["listen"][0], "pid": std::process::id()});
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("nobody reads where it serves: {error}"))
}

/// Holds the process with all its threads on these cores.
fn hold_on(cpus: &CpuList) -> Result<(), String> {
    // SAFETY: a set is a plain array of bits, for which zeros are valid; the list's numbers lie within it.
    let outcome = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cpus.0.iter().for_each(|cpu| libc::CPU_SET(*cpu, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if outcome == 0 {
        return Ok(());
    }
    Err(format!("--cpus {:?}: {}", cpus.0, std::io::Error::last_os_error()))
}

/// A server without sockets for the thread that calls this: the tools that need no peer.
fn tools_without_peers(config: ServerConfig) -> Result<App, String> {
    let config = ServerConfig { p2p: false, data_dir: None, ..config };
    Server::new(config).builtin_tools().into_app().map_err(|error| error.to_string())
}
