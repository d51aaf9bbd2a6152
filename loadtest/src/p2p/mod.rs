//! A load over libp2p: a closed loop through a node of our own, or connections that say nothing.

mod canned;
mod connection;
#[allow(unreachable_pub, reason = "the peer for comparison compiles this file too")]
mod exchange;
mod idle;
mod lanes;

use serde::Serialize;

use ringmesh::runtime::{ExecutorSettings, Watchdog, WatchdogSettings, spawn_executor};

pub(crate) use canned::run as serve_canned;

use crate::options::{P2pArgs, StreamUse};
use crate::procfs::Sample;
use crate::stats::Stats;

/// What a run found; the peer for comparison prints the same members.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    requests: u64,
    requests_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    /// CPU time of each side for one request, in microseconds.
    client_cpu_us: f64,
    server_cpu_us: f64,
    pub(crate) errors: u64,
    first_error: Option<String>,
    /// Streams that ended without an answer; their requests were made again.
    dropped: u64,
    request_bytes: usize,
    answer_bytes: usize,
    /// Of idle connections: how many, how long they took to open, and what one adds to each side's resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<idle::Idle>,
}

impl Report {
    /// One JSON object on one line.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("invariant: numbers and texts can be written as JSON")
    }
}

/// Runs the load and reports; an error means that nothing could be measured.
pub(crate) fn run(args: &P2pArgs) -> Result<Report, String> {
    let watchdog = Watchdog::start(WatchdogSettings::default())
        .map_err(|error| format!("the generator cannot start its watchdog: {error}"))?;
    let plan = args.clone();
    let settings = ExecutorSettings { watchdog: Some(watchdog.clone()), ..ExecutorSettings::default() };
    let worker = spawn_executor(args.cpu, "load-0", &settings, move || async move {
        ringmesh::runtime::warm_up().await;
        let _tick = watchdog.register(0);
        match plan.mode {
            StreamUse::Idle => idle::run(&plan).await,
            _ => lanes::run(&plan).await,
        }
    });
    let worker = worker.map_err(|error| format!("the generator cannot start: {error}"))?;
    worker.join().map_err(|error| format!("the generator failed: {error}"))?
}

/// Both processes at one moment.
#[derive(Debug)]
struct Both {
    own: Sample,
    server: Option<Sample>,
}

impl Both {
    fn now(args: &P2pArgs) -> Result<Self, String> {
        let sample = |pid| Sample::of(pid).map_err(|error| format!("process {pid}: {error}"));
        Ok(Self { own: sample(std::process::id())?, server: args.server_pid.map(sample).transpose()? })
    }
}

/// What the counts and the processes' samples come to.
fn report(stats: &Stats, before: &Both, after: &Both) -> Report {
    let requests = stats.samples();
    let usage = after.own.since(&before.own);
    let each = |cpu_seconds: f64| cpu_seconds * 1e6 / requests.max(1) as f64;
    let server = after.server.as_ref().zip(before.server.as_ref());
    Report {
        requests,
        requests_per_s: requests as f64 / usage.seconds,
        p50_us: stats.percentile_us(50.0).unwrap_or_default(),
        p99_us: stats.percentile_us(99.0).unwrap_or_default(),
        client_cpu_us: each(usage.cpu_seconds()),
        server_cpu_us: server.map_or(0.0, |(after, before)| each(after.since(before).cpu_seconds())),
        errors: stats.errors().values().sum(),
        first_error: stats.first_fault().map(|fault| fault.detail.clone()),
        ..Report::default()
    }
}
