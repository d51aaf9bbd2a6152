//! What the command line says, and the checks that need more than one flag.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ringmesh::p2p::address::PeerAddress;
use serde::Serialize;

use crate::compare::CompareArgs;
use crate::instructions::InstructionsArgs;
use crate::pace::Arrivals;
use crate::serve::ServeArgs;
use crate::values::{CpuList, Ramp};

/// Load generator for MCP servers: open or closed loop, pinned, every answer checked.
#[derive(Parser, Debug)]
#[command(name = "ringmesh-loadtest", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// What to do instead of one run against a running server.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Start several servers, load each in interleaved rounds, and write a table with verdicts.
    Compare(Box<CompareArgs>),
    /// Load MCP over libp2p, with the stack that the server has; prints one JSON object.
    P2p(P2pArgs),
    /// Load a task queue: submits, or cycles of submit, claim and complete; prints one JSON object.
    Queue(QueueArgs),
    /// Do a fixed amount of work without a socket, to count its instructions.
    #[command(hide = true)]
    Instructions(InstructionsArgs),
    /// Serve as one of the subjects of a comparison.
    Serve(ServeArgs),
    /// Serve MCP over libp2p with answers that are always the same: what the stack costs without MCP.
    P2pCanned(CannedArgs),
}

/// A protocol revision that the generator speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Era {
    /// Stateless: every request carries its own metadata.
    #[value(name = "2026-07-28")]
    #[serde(rename = "2026-07-28")]
    V2026_07_28,
    /// Sessions: initialize first, then the session's header on every request.
    #[value(name = "2025-11-25")]
    #[serde(rename = "2025-11-25")]
    V2025_11_25,
    /// Sessions, as 2025-11-25.
    #[value(name = "2025-06-18")]
    #[serde(rename = "2025-06-18")]
    V2025_06_18,
}

impl Era {
    /// The revision as it stands in headers and metadata.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V2026_07_28 => "2026-07-28",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2025_06_18 => "2025-06-18",
        }
    }

    /// Whether the revision has a handshake and sessions.
    pub(crate) fn has_sessions(self) -> bool {
        self != Self::V2026_07_28
    }
}

/// Which form of answer counts as right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    /// One JSON object or an event stream.
    Any,
    /// Only `application/json`.
    Json,
    /// Only `text/event-stream`.
    Sse,
}

/// Who shares a session, in the revisions that have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sessions {
    /// Each connection opens its own.
    PerConnection,
    /// Each generator thread opens one for all its connections.
    Shared,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The shape of the load, shared by single runs and comparisons.
#[derive(Args, Debug, Clone, Serialize)]
pub(crate) struct Shape {
    /// Requests in flight on each connection (default: what the mix says, or 1).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) pipeline: Option<u32>,
    /// Measured time, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    #[serde(serialize_with = "as_seconds")]
    pub(crate) duration_s: Duration,
    /// Time before the measurement, in seconds; its samples are left out.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    #[serde(serialize_with = "as_seconds")]
    pub(crate) warmup_s: Duration,
    /// How long to wait for a connection, and for the last answers after the end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    #[serde(serialize_with = "as_seconds")]
    pub(crate) grace_s: Duration,
    /// Cores of the generator, one pinned thread each, for example 1 or 1,4-5 (default: one thread, not pinned).
    #[arg(long, value_name = "LIST")]
    pub(crate) cpu: Option<CpuList>,
    /// Protocol revision to speak.
    #[arg(long, value_enum, default_value = "2026-07-28")]
    pub(crate) era: Era,
    /// Tool to call; it takes `message` and answers with that text.
    #[arg(long, default_value = "echo")]
    pub(crate) tool: String,
    /// Length of the message of each call; messages differ as far as the length allows (default: what the mix says, or
    /// 16).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) message_bytes: Option<u32>,
    /// Whether connections share a session.
    #[arg(long, value_enum, default_value = "per-connection")]
    pub(crate) sessions: Sessions,
    /// Form of answer that counts as right.
    #[arg(long, value_enum, default_value = "any")]
    pub(crate) expect: Expect,
    /// What the clients do: echo, tools-list, queue-local, queue-remote, long-poll, session-churn, large-bodies or
    /// few-long-connections.
    #[arg(long, default_value = "echo", conflicts_with = "mix_file")]
    pub(crate) mix: String,
    /// A file with a mix of your own, in TOML or JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) mix_file: Option<PathBuf>,
    /// The node that remote operations go to, as /ip4/127.0.0.1/tcp/4001/p2p/ID.
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) remote: Option<String>,
    /// Where the pseudo-random numbers of arrivals and mixes begin.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// An open loop is void when more than one operation in a hundred began so much later than it could have.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2.0, value_parser = parse_positive)]
    pub(crate) max_lag_ms: f64,
    /// Makes the generator slow, to see that it says so.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) handicap_us: u64,
}

/// One run against a server that is already there.
#[derive(Args, Debug, Clone)]
pub(crate) struct LoadArgs {
    /// The endpoint, for example http://127.0.0.1:8000/mcp.
    #[arg(long, conflicts_with_all = ["target", "path", "peer"])]
    pub(crate) url: Option<String>,
    /// Host and port of the server.
    #[arg(long, default_value = "127.0.0.1:8000", conflicts_with = "peer")]
    pub(crate) target: String,
    /// Path of the endpoint.
    #[arg(long, default_value = "/mcp", conflicts_with = "peer")]
    pub(crate) path: String,
    /// A node to speak MCP over libp2p with, as /ip4/127.0.0.1/tcp/4001/p2p/ID.
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) peer: Option<PeerAddress>,
    /// Connections, all generator threads together (default: what the mix says, or 64). Without --rate each one begins
    /// its next operation when one has ended: a closed loop.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    pub(crate) connections: Option<u32>,
    /// Operations a second, on a schedule that waits for nobody: an open loop (default: 1000, unless --connections is
    /// given).
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_positive)]
    pub(crate) rate: Option<f64>,
    /// How the operations of an open loop are spread in time.
    #[arg(long, value_enum, default_value = "uniform")]
    pub(crate) arrivals: Arrivals,
    /// Several rates one after the other, from the first to the last in so many steps.
    #[arg(long, value_name = "FIRST:LAST:STEPS", conflicts_with_all = ["rate", "find_knee"])]
    pub(crate) ramp: Option<Ramp>,
    /// Look for the largest rate whose 99th percentile stays under --knee-p99-ms, from --rate on.
    #[arg(long)]
    pub(crate) find_knee: bool,
    /// What --find-knee allows, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 10.0, value_parser = parse_positive)]
    pub(crate) knee_p99_ms: f64,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Expect one fixed 200 answer instead of the echoed text: the floor of a server that only copies bytes.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Process to read CPU time and context switches of.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Form of the report on standard output.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    /// Folder for report.json, .hgrm files and index.html.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// How a load over libp2p uses streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamUse {
    /// A stream for each request.
    StreamPerRequest,
    /// A stream for each request in flight, from the start to the end.
    LongLived,
    /// No streams: connections that say nothing, to see what one costs.
    Idle,
}

/// A load over libp2p against a node that is already there.
#[derive(Args, Debug, Clone)]
pub(crate) struct P2pArgs {
    /// The node, as /ip4/127.0.0.1/tcp/4001/p2p/ID.
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) target: PeerAddress,
    /// How streams are used.
    #[arg(long, value_enum, default_value = "stream-per-request")]
    pub(crate) mode: StreamUse,
    /// Requests in flight, all connections together.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) in_flight: u32,
    /// Connections, each of a peer of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    pub(crate) connections: u32,
    /// Measured time, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub(crate) duration_s: Duration,
    /// Time before the measurement, in seconds; its samples are left out.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_seconds)]
    pub(crate) warmup_s: Duration,
    /// The core of the generator's thread.
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
    /// Process to read CPU time and memory of.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
}

/// What a connection does again and again.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueRound {
    /// Submits a task.
    Submit,
    /// Submits a task, claims one, and completes it.
    Cycle,
}

/// What is spoken to the queue.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueProtocol {
    /// The tools of the task queue, over HTTP in 2026-07-28.
    Tools,
    /// The protocol of beanstalkd.
    Beanstalkd,
}

/// A load for a task queue that is already there.
#[derive(Args, Debug, Clone)]
pub(crate) struct QueueArgs {
    /// The server, as 127.0.0.1:8000.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) target: SocketAddr,
    /// What each connection does.
    #[arg(long, value_enum, default_value = "cycle")]
    pub(crate) round: QueueRound,
    /// What is spoken.
    #[arg(long, value_enum, default_value = "tools")]
    pub(crate) protocol: QueueProtocol,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// Bytes of data in each payload.
    #[arg(long, default_value_t = 64)]
    pub(crate) payload_bytes: usize,
    /// Measured time, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub(crate) duration_s: Duration,
    /// Time before the measurement, in seconds; its samples are left out.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_seconds)]
    pub(crate) warmup_s: Duration,
    /// The core of the generator's thread.
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
    /// Process to read CPU time of.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
}

/// A server that only copies an id into bytes.
#[derive(Args, Debug, Clone)]
pub(crate) struct CannedArgs {
    /// Bytes of each answer, its length included.
    #[arg(long, default_value_t = 300)]
    pub(crate) answer_bytes: usize,
    /// The core of the server's thread.
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e7 => Ok(number),
        _ => Err(format!("{text:?} is not a number from more than 0 to 10000000")),
    }
}

pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    parse_seconds_or_zero(text).and_then(|duration| {
        if duration.is_zero() { Err(format!("{text:?} must be more than 0")) } else { Ok(duration) }
    })
}

pub(crate) fn parse_seconds_or_zero(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("{text:?} is not a number of seconds from 0 to 86400")),
    }
}

pub(crate) fn as_seconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli =
            Cli::try_parse_from(["x", "compare", "--server", "a=b {port}", "--loads", "8,16x16"]).unwrap();
        let Some(Command::Compare(args)) = cli.command else { panic!("not a comparison") };
        assert_eq!((args.loads[1].connections, args.loads[1].pipeline), (16, 16));
        for bad in
            [&["--quick", "--server", "a=b"][..], &["--loads", "8"], &["--floor", "a=b"], &["--rounds", "0"]]
        {
            assert!(Cli::try_parse_from([&["x", "compare"], bad].concat()).is_err(), "{bad:?}");
        }
    }
}
