//! One run: starts the generator's threads together, samples the processes at both ends of the measured time, and
//! makes the report.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ringmesh::runtime::{ExecutorHandle, ExecutorSettings, Watchdog, WatchdogSettings, spawn_executor};

use crate::gate::{Gate, Phase};
use crate::key::{FIRST_ID, ID_END};
use crate::mix::{Mix, Script, Setting};
use crate::options::{LoadArgs, Shape};
use crate::pace::Pace;
use crate::procfs::Sample;
use crate::progress::Progress;
use crate::request::Dialect;
use crate::run_result::RunResult;
use crate::stats::Stats;
use crate::values::{Endpoint, Target};
use crate::worker::{self, Plan};

/// How long all connections together may take to open.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Connections, operations a second and length of a message where neither the command line nor the mix says.
const DEFAULT_CONNECTIONS: u32 = 64;
const DEFAULT_RATE: f64 = 1_000.0;
pub(crate) const DEFAULT_MESSAGE_BYTES: u32 = 16;
/// The longest message, in bytes, whoever says its length.
const MAX_MESSAGE_BYTES: u32 = 1_000_000;

/// What one run loads, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) endpoint: Endpoint,
    pub(crate) mix: Mix,
    pub(crate) pace: Pace,
    pub(crate) connections: u32,
    pub(crate) shape: Shape,
    /// Whether any 200 answer is right that is as the first one.
    pub(crate) raw: bool,
    pub(crate) server_pid: Option<u32>,
}

impl Job {
    /// The job of the command line.
    pub(crate) fn from_args(args: &LoadArgs) -> Result<Self, String> {
        let endpoint = match (&args.peer, &args.url) {
            (Some(peer), _) => Endpoint::Peer(peer.clone()),
            (None, Some(url)) => Endpoint::Http(Target::from_url(url)?),
            (None, None) => Endpoint::Http(Target::new(&args.target, &args.path)?),
        };
        let closed =
            args.rate.is_none() && args.connections.is_some() && !args.find_knee && args.ramp.is_none();
        let pace = if closed {
            Pace::Closed
        } else {
            Pace::Open { rate: args.rate.unwrap_or(DEFAULT_RATE), arrivals: args.arrivals }
        };
        let mut job = Self::new(endpoint, pace, args.connections, &args.shape)?;
        (job.raw, job.server_pid) = (args.raw, args.server_pid);
        job.script().map(|_| job)
    }

    /// A job of the mix that the shape names; a connection count that is not given is the mix's.
    pub(crate) fn new(
        endpoint: Endpoint,
        pace: Pace,
        connections: Option<u32>,
        shape: &Shape,
    ) -> Result<Self, String> {
        if shape.tool.bytes().any(|byte| !byte.is_ascii_graphic()) || shape.tool.is_empty() {
            return Err(format!("--tool {:?} must be visible ASCII, as tool names are", shape.tool));
        }
        let mix = match &shape.mix_file {
            Some(path) => Mix::from_file(path)?,
            None => Mix::built_in(&shape.mix)?,
        };
        let connections = connections.or(mix.connections()).unwrap_or(DEFAULT_CONNECTIONS);
        let job =
            Self { endpoint, mix, pace, connections, shape: shape.clone(), raw: false, server_pid: None };
        if job.mix.opens_connections() && job.pipeline() > 1 {
            return Err(format!(
                "the mix {} opens connections of its own: --pipeline must be 1",
                job.mix.name
            ));
        }
        let threads = shape.cpu.as_ref().map_or(1, |list| list.0.len());
        if (connections as usize) < threads {
            return Err(format!(
                "{connections} connections are too few for {threads} generator threads (--cpu)"
            ));
        }
        if !(1..=30_000).contains(&connections) || !(1..=1024).contains(&job.pipeline()) {
            return Err(format!(
                "{connections} connections with {} in flight each: allowed are 1 to 30000 and 1 to 1024",
                job.pipeline()
            ));
        }
        if !(1..=MAX_MESSAGE_BYTES).contains(&job.message_bytes()) {
            return Err(format!(
                "a message of {} bytes: allowed are 1 to {MAX_MESSAGE_BYTES}",
                job.message_bytes()
            ));
        }
        Ok(job)
    }

    /// Requests in flight on each connection.
    pub(crate) fn pipeline(&self) -> u32 {
        self.shape.pipeline.or(self.mix.pipeline()).unwrap_or(1)
    }

    /// The length of each message, in bytes.
    pub(crate) fn message_bytes(&self) -> u32 {
        self.shape.message_bytes.or(self.mix.message_bytes()).unwrap_or(DEFAULT_MESSAGE_BYTES)
    }

    /// The mix made ready for the endpoint.
    pub(crate) fn script(&self) -> Result<Script, String> {
        let setting = Setting {
            dialect: Dialect { http: self.endpoint.http().cloned(), era: self.shape.era },
            message_bytes: self.message_bytes(),
            tool: &self.shape.tool,
            remote: self.shape.remote.as_deref(),
            expect: self.shape.expect,
            fixed: self.raw,
        };
        Script::new(&self.mix, &setting)
    }
}

/// Runs the load and reports; an error means that nothing could be measured.
pub(crate) fn run(job: &Job) -> Result<RunResult, String> {
    if let Some(pid) = job.server_pid {
        Sample::of(pid).map_err(|error| format!("--server-pid {pid}: {error}"))?;
    }
    let script = Arc::new(job.script()?);
    let gate = Arc::new(Gate::new());
    let (ready, all_ready) = mpsc::channel();
    let cpus: Vec<Option<usize>> = match &job.shape.cpu {
        Some(list) => list.0.iter().copied().map(Some).collect(),
        None => vec![None],
    };
    let watchdog = Watchdog::start(WatchdogSettings::default())
        .map_err(|error| format!("the generator cannot start its watchdog: {error}"))?;
    let mut workers = Vec::new();
    for (index, cpu) in cpus.iter().enumerate() {
        let plan = Plan {
            endpoint: job.endpoint.clone(),
            script: Arc::clone(&script),
            pace: job.pace,
            seed: job.shape.seed,
            shape: job.shape.clone(),
            pipeline: job.pipeline(),
            connections: share(job.connections as usize, cpus.len(), index),
            index,
            threads: cpus.len(),
            watchdog: watchdog.clone(),
            first_id: FIRST_ID + (ID_END - FIRST_ID) / cpus.len() as u64 * index as u64,
            ready: ready.clone(),
            gate: Arc::clone(&gate),
        };
        let settings = ExecutorSettings { watchdog: Some(watchdog.clone()), ..ExecutorSettings::default() };
        let worker = spawn_executor(*cpu, &format!("load-{index}"), &settings, move || worker::run(plan));
        workers.push(worker.map_err(|error| format!("the generator cannot start: {error}"))?);
    }
    drop(ready);
    measure(job, &script, workers, &all_ready, &gate)
}

fn measure(
    job: &Job,
    script: &Script,
    workers: Vec<ExecutorHandle<Stats>>,
    all_ready: &Receiver<u32>,
    gate: &Gate,
) -> Result<RunResult, String> {
    let deadline = Instant::now() + READY_WITHIN;
    // A thread that ended early has dropped its sender; joining it below tells why.
    let next = || all_ready.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    let tids: Vec<u32> = workers.iter().filter_map(|_| next()).collect();
    let sample =
        || (Sample::of(std::process::id()).ok(), job.server_pid.and_then(|pid| Sample::of(pid).ok()));
    gate.set(Phase::WarmUp);
    let progress = Progress::new(job);
    progress.wait(job.shape.warmup_s, "warm-up", || 0);
    let (own_before, server_before) = sample();
    gate.set(Phase::Measuring);
    let started = Instant::now();
    progress.wait(job.shape.duration_s, "measuring", || gate.completed());
    // The load goes on while this is read, and the generator's threads are still there.
    let (own_after, server_after) = sample();
    gate.set(Phase::Over);
    let measured = started.elapsed();
    progress.clear();
    let mut stats = Stats::of(script.operations.len(), job.shape.duration_s);
    for worker in workers {
        stats.merge(worker.join().map_err(|error| format!("a generator thread failed: {error}"))?);
    }
    let mut own = own_before.zip(own_after).map(|(before, after)| after.since(&before));
    if let Some(own) = &mut own {
        own.threads.retain(|thread| tids.contains(&thread.tid));
    }
    let server =
        server_before.zip(server_after).map(|(before, after)| (after.since(&before), after.rss_bytes));
    Ok(RunResult::new(job, script, &stats, measured, own.as_ref(), server))
}

/// The part of `total` that falls to one of `parts`.
fn share(total: usize, parts: usize, index: usize) -> usize {
    total / parts + usize::from(index < total % parts)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::Cli;

    #[test]
    fn a_mix_has_no_messages_but_those_that_a_user_may_ask_for() {
        let path = std::env::temp_dir().join(format!("ringmesh-mix-{}.toml", std::process::id()));
        let job = |bytes: u64| {
            std::fs::write(
                &path,
                format!("message_bytes={bytes}\n[[operation]]\nname='a'\nstep=[{{tool='t'}}]"),
            )
            .unwrap();
            let cli = Cli::try_parse_from(["x".as_ref(), "--mix-file".as_ref(), path.as_os_str()]).unwrap();
            Job::from_args(&cli.load).map(|job| job.message_bytes())
        };
        assert_eq!((job(1), job(1_000_000)), (Ok(1), Ok(1_000_000)));
        for wrong in [0, 1_000_001, 4_294_967_295] {
            assert!(job(wrong).unwrap_err().contains("allowed are 1 to 1000000"));
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn shares_add_up() {
        assert_eq!((0..3).map(|index| share(8, 3, index)).collect::<Vec<_>>(), [3, 3, 2]);
        assert_eq!((0..4).map(|index| share(2, 4, index)).sum::<usize>(), 2);
    }
}
