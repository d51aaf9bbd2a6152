//! One run: starts the generator's threads together, samples the processes at both ends of the measured time, and
//! makes the report.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ringmesh::runtime::{ExecutorHandle, ExecutorSettings, Watchdog, WatchdogSettings, spawn_executor};

use crate::checker::Rule;
use crate::gate::{Gate, Phase};
use crate::options::{LoadArgs, Shape};
use crate::procfs::Sample;
use crate::request::{FIRST_ID, ID_END, Template};
use crate::run_result::RunResult;
use crate::stats::Stats;
use crate::values::Target;
use crate::worker::{self, Plan};

/// How long all connections together may take to open.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What one run loads, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) target: Target,
    pub(crate) connections: u32,
    pub(crate) shape: Shape,
    pub(crate) raw: bool,
    pub(crate) server_pid: Option<u32>,
}

impl Job {
    /// The job of the command line.
    pub(crate) fn from_args(args: &LoadArgs) -> Result<Self, String> {
        if args.shape.tool.bytes().any(|byte| !byte.is_ascii_graphic()) || args.shape.tool.is_empty() {
            return Err(format!("--tool {:?} must be visible ASCII, as tool names are", args.shape.tool));
        }
        Ok(Self {
            target: match &args.url {
                Some(url) => Target::from_url(url)?,
                None => Target::new(&args.target, &args.path)?,
            },
            connections: args.connections,
            shape: args.shape.clone(),
            raw: args.raw,
            server_pid: args.server_pid,
        })
    }

    fn rule(&self) -> Rule {
        if self.raw { Rule::Fixed } else { Rule::Echo(self.shape.expect) }
    }

    /// The length of each request, in bytes.
    pub(crate) fn request_bytes(&self) -> usize {
        let shape = &self.shape;
        Template::call(&self.target, shape.era, &shape.tool, shape.message_bytes as usize, None).len()
    }
}

/// Runs the load and reports; an error means that nothing could be measured.
pub(crate) fn run(job: &Job) -> Result<RunResult, String> {
    if let Some(pid) = job.server_pid {
        Sample::of(pid).map_err(|error| format!("--server-pid {pid}: {error}"))?;
    }
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
            target: job.target.clone(),
            shape: job.shape.clone(),
            rule: job.rule(),
            connections: share(job.connections as usize, cpus.len(), index),
            index,
            watchdog: watchdog.clone(),
            first_id: FIRST_ID + (ID_END - FIRST_ID) / cpus.len() as u64 * index as u64,
            ready: ready.clone(),
            gate: Arc::clone(&gate),
        };
        let settings = ExecutorSettings::default();
        let worker = spawn_executor(*cpu, &format!("load-{index}"), &settings, move || worker::run(plan));
        workers.push(worker.map_err(|error| format!("the generator cannot start: {error}"))?);
    }
    drop(ready);
    measure(job, workers, &all_ready, &gate)
}

fn measure(
    job: &Job,
    workers: Vec<ExecutorHandle<Stats>>,
    all_ready: &Receiver<()>,
    gate: &Gate,
) -> Result<RunResult, String> {
    let deadline = Instant::now() + READY_WITHIN;
    for _ in &workers {
        // A thread that ended early has dropped its sender; joining it below tells why.
        let _ = all_ready.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    let sample =
        || (Sample::of(std::process::id()).ok(), job.server_pid.and_then(|pid| Sample::of(pid).ok()));
    gate.set(Phase::WarmUp);
    std::thread::sleep(job.shape.warmup_s);
    let (own_before, server_before) = sample();
    gate.set(Phase::Measuring);
    let started = Instant::now();
    std::thread::sleep(job.shape.duration_s);
    // The load goes on while this is read, and the generator's threads are still there.
    let (own_after, server_after) = sample();
    gate.set(Phase::Over);
    let measured = started.elapsed();
    let mut stats = Stats::new();
    for worker in workers {
        stats.merge(worker.join().map_err(|error| format!("a generator thread failed: {error}"))?);
    }
    let own = own_before.zip(own_after).map(|(before, after)| after.since(&before));
    let server =
        server_before.zip(server_after).map(|(before, after)| (after.since(&before), after.rss_bytes));
    Ok(RunResult::new(job, &stats, measured, own.as_ref(), server))
}

/// The part of `total` that falls to one of `parts`.
fn share(total: usize, parts: usize, index: usize) -> usize {
    total / parts + usize::from(index < total % parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!((0..3).map(|index| share(8, 3, index)).collect::<Vec<_>>(), [3, 3, 2]);
        assert_eq!((0..4).map(|index| share(2, 4, index)).sum::<usize>(), 2);
    }
}
