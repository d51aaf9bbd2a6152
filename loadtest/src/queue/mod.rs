//! A load for task queues: each connection submits, claims and completes one task after the other, or only submits; with the
//! tools over HTTP, or in the words of beanstalkd, for comparison.

mod beanstalkd;
mod lane;
mod tools;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use ringmesh::runtime::{
    self, ExecutorSettings, Queue, Scope, ScopeOptions, Watchdog, WatchdogSettings, spawn_executor,
};

use crate::options::QueueArgs;
use crate::procfs::Sample;
use crate::stats::Stats;

/// What a run found.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    /// Rounds of a connection: a submit, or a cycle of submit, claim and complete.
    rounds: u64,
    rounds_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    /// CPU time of each side for one round, in microseconds.
    client_cpu_us: f64,
    server_cpu_us: f64,
    pub(crate) errors: u64,
    first_error: Option<String>,
}

impl Report {
    /// One JSON object on one line.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("invariant: numbers and texts can be written as JSON")
    }
}

/// What the lanes share.
struct Shared {
    stats: RefCell<Stats>,
    measuring: Cell<bool>,
    over: Cell<bool>,
}

/// Runs the load and reports; an error means that nothing could be measured.
pub(crate) fn run(args: &QueueArgs) -> Result<Report, String> {
    let watchdog = Watchdog::start(WatchdogSettings::default())
        .map_err(|error| format!("the generator cannot start its watchdog: {error}"))?;
    let plan = args.clone();
    let settings = ExecutorSettings { watchdog: Some(watchdog.clone()), ..ExecutorSettings::default() };
    let worker = spawn_executor(args.cpu, "load-0", &settings, move || async move {
        runtime::warm_up().await;
        let _tick = watchdog.register(0);
        load(&plan).await
    });
    let worker = worker.map_err(|error| format!("the generator cannot start: {error}"))?;
    worker.join().map_err(|error| format!("the generator failed: {error}"))?
}

async fn load(args: &QueueArgs) -> Result<Report, String> {
    let shared = Rc::new(Shared {
        stats: RefCell::new(Stats::new()),
        measuring: Cell::new(false),
        over: Cell::new(false),
    });
    let options = ScopeOptions { grace: Duration::ZERO, queue: Queue::Serve, ..ScopeOptions::named("load") };
    let samples = Scope::run(options, |scope| {
        let (args, shared) = (args.clone(), Rc::clone(&shared));
        async move { measure(&args, &shared, &scope).await }
    })
    .await
    .map_err(|error| format!("the generator itself failed: {error}"))?;
    Ok(report(&shared.stats.borrow(), &samples))
}

/// Both processes before and after the measured time.
struct Samples {
    own: [Sample; 2],
    server: Option<[Sample; 2]>,
}

async fn measure(args: &QueueArgs, shared: &Rc<Shared>, scope: &Scope) -> Result<Samples, runtime::BoxError> {
    for index in 0..args.connections {
        let mut lane = lane::Lane::connect(args, index).await?;
        let shared = Rc::clone(shared);
        scope.spawn("lane", async move { lane.run(&shared).await })?;
    }
    let sample = || -> Result<_, std::io::Error> {
        Ok((Sample::of(std::process::id())?, args.server_pid.map(Sample::of).transpose()?))
    };
    runtime::sleep(args.warmup_s).await;
    let before = sample()?;
    shared.measuring.set(true);
    runtime::sleep(args.duration_s).await;
    shared.measuring.set(false);
    let after = sample()?;
    shared.over.set(true);
    scope.cancel();
    let server = before.1.zip(after.1).map(|(before, after)| [before, after]);
    Ok(Samples { own: [before.0, after.0], server })
}

fn report(stats: &Stats, samples: &Samples) -> Report {
    let rounds = stats.samples();
    let [before, after] = &samples.own;
    let usage = after.since(before);
    let each = |cpu_seconds: f64| cpu_seconds * 1e6 / rounds.max(1) as f64;
    let server = samples.server.as_ref().map(|[before, after]| after.since(before).cpu_seconds());
    Report {
        rounds,
        rounds_per_s: rounds as f64 / usage.seconds,
        p50_us: stats.percentile_us(50.0).unwrap_or_default(),
        p99_us: stats.percentile_us(99.0).unwrap_or_default(),
        client_cpu_us: each(usage.cpu_seconds()),
        server_cpu_us: server.map_or(0.0, each),
        errors: stats.errors().values().sum(),
        first_error: stats.first_fault().map(|fault| fault.detail.clone()),
    }
}
