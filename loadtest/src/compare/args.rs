//! What the command line of a comparison says.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use serde::Serialize;

use super::plan::{Choice, Layout, Mix};
use crate::options::{Cli, Era, Expect, Sessions, Shape, parse_seconds, parse_seconds_or_zero};
use crate::values::{CpuList, Load, NamedCommand};

/// When a change of the queue is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JournalMode {
    /// The kernel has it.
    None,
    /// The kernel has it, and the medium soon.
    Interval,
    /// The medium has it.
    Always,
}

impl JournalMode {
    /// The name, as the server knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Interval => "interval",
            Self::Always => "always",
        }
    }
}

/// Interleaved rounds over several servers that this command starts and stops. Without --server they are this server
/// (native), the same handlers behind tokio with a bridge to the peers (bridge, bridge-dial), and outside ones below
/// --peers.
#[derive(Args, Debug, Clone)]
pub(crate) struct CompareArgs {
    /// The short comparison: native and bridge, 16 and 256 connections, the queue here and on another node, 7 rounds of
    /// 1.5 s, and both at 70 % of the bridge's knee.
    #[arg(long, conflicts_with = "servers")]
    pub(crate) quick: bool,
    /// Connections of the closed loops (default: 1,16,64,256,1024).
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "servers",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: Vec<u32>,
    /// What the clients do (default: all).
    #[arg(long = "mixes", value_enum, value_delimiter = ',', conflicts_with = "servers")]
    pub(crate) mixes: Vec<Mix>,
    /// Whether server and generator have a core each (apart), or the server both and the generator the rest (shared)
    /// (default: apart, and on two cores both).
    #[arg(long = "layouts", value_enum, value_delimiter = ',', conflicts_with = "servers")]
    pub(crate) layouts: Vec<Layout>,
    /// When the servers acknowledge a change of the queue.
    #[arg(long, value_enum, default_value = "interval", conflicts_with = "servers")]
    pub(crate) journal_mode: JournalMode,
    /// The folder with the outside servers that may have been built.
    #[arg(long, value_name = "DIR", default_value = "loadtest/peers", conflicts_with = "servers")]
    pub(crate) peers: PathBuf,
    /// Where the servers keep their data while they run (default: the system's folder for temporary files).
    #[arg(long, value_name = "DIR", conflicts_with = "servers")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The program that is started with `serve`, for tests (default: this one).
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "servers")]
    pub(crate) program: Option<PathBuf>,
    /// Where the pseudo-random numbers of arrivals begin.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A server as NAME=COMMAND, or NAME@REVISION=COMMAND to speak another revision with it; {port}, {cpu} and
    /// {response_bytes} are filled in. The first one is what the others are compared with.
    #[arg(long = "server", value_name = "NAME=COMMAND")]
    pub(crate) servers: Vec<NamedCommand>,
    /// A server that only copies bytes, as NAME=COMMAND; its answers are checked as with --raw.
    #[arg(long = "floor", value_name = "NAME=COMMAND", requires = "servers")]
    pub(crate) floors: Vec<NamedCommand>,
    /// NAME=COMMAND to start for the idle figures instead of the measured command, on all cores and unpinned.
    #[arg(long = "idle", value_name = "NAME=COMMAND", requires = "servers")]
    pub(crate) idle: Vec<NamedCommand>,
    /// Loads of --server as CONNECTIONS or CONNECTIONSxPIPELINE (default: 8,64,512,16x16).
    #[arg(long, value_delimiter = ',', requires = "servers")]
    pub(crate) loads: Vec<Load>,
    /// Rounds (default: 7); each one runs every server once, in an order that turns round from one to the next. Fewer than
    /// 7 are marked in the report.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=101))]
    pub(crate) rounds: Option<u32>,
    /// The core of the server, with all its threads (default: the first).
    #[arg(long)]
    pub(crate) server_cpu: Option<usize>,
    /// The core of the generator (default: the second); with --server several are possible.
    #[arg(long, value_name = "LIST")]
    pub(crate) cpu: Option<CpuList>,
    /// Measured time of a run, in seconds (default: 2; with --quick 1.5; with --server 10).
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) duration_s: Option<Duration>,
    /// Time before the measurement, in seconds; its samples are left out (default: 0.3; with --quick 0.2; with --server 2).
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) warmup_s: Option<Duration>,
    /// Protocol revision to speak with --server.
    #[arg(long, value_enum, default_value = "2026-07-28", requires = "servers")]
    pub(crate) era: Era,
    /// Tool to call with --server; it takes `message` and answers with that text.
    #[arg(long, default_value = "echo", requires = "servers")]
    pub(crate) tool: String,
    /// Length of the message of each call with --server.
    #[arg(long, default_value_t = 16, requires = "servers", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) message_bytes: u32,
    /// Whether connections share a session, with --server.
    #[arg(long, value_enum, default_value = "per-connection", requires = "servers")]
    pub(crate) sessions: Sessions,
    /// Form of answer that counts as right, with --server.
    #[arg(long, value_enum, default_value = "any", requires = "servers")]
    pub(crate) expect: Expect,
    /// How long an idle server is watched, in seconds; 0 leaves the idle figures out.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds_or_zero, requires = "servers")]
    pub(crate) idle_s: Duration,
    /// Folder for compare.md, with report.json, index.html and .hgrm files; with --server for compare.md and compare.json.
    #[arg(long, default_value = "reports")]
    pub(crate) out: PathBuf,
}

impl CompareArgs {
    /// What was chosen of the built-in comparison.
    pub(crate) fn choice(&self) -> Choice {
        Choice {
            quick: self.quick,
            connections: self.connections.clone(),
            mixes: self.mixes.clone(),
            layouts: self.layouts.clone(),
            rounds: self.rounds,
            warmup: self.warmup_s,
            duration: self.duration_s,
        }
    }

    /// The shape of the runs with --server.
    pub(crate) fn shape(&self) -> Result<Shape, String> {
        let words = ["x", "--mix", "echo", "--tool", &self.tool];
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(Shape {
            duration_s: self.duration_s.unwrap_or(Duration::from_secs(10)),
            warmup_s: self.warmup_s.unwrap_or(Duration::from_secs(2)),
            cpu: self.cpu.clone(),
            era: self.era,
            message_bytes: Some(self.message_bytes),
            sessions: self.sessions,
            expect: self.expect,
            seed: self.seed,
            ..cli.load.shape
        })
    }
}
