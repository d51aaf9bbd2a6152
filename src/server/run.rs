//! A server on cores of its own: the calling thread starts them, waits, and gathers how they ended.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::error::ServerError;
use super::hooks::{CoreHooks, CoreInfo, ShutdownHooks};
use super::readiness::{Readiness, Start};
use super::serving::run_core;
use super::shared::Shared;
use super::{Server, p2p, probes, setup, tasks};
use crate::config::ServerConfig;
use crate::observe::Phase;
use crate::runtime::preflight::{self, Plan};
use crate::runtime::signal::SignalGuard;
use crate::runtime::topology::CoreSet;
use crate::runtime::{self, ExecutorHandle, ExecutorSettings};

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped: by its handle, a signal, or the scope it ran in.
    Stopped,
    /// `run_timeout_ms` was over.
    TimedOut,
}

/// What a core tells the thread that started it.
enum Report {
    Ready,
    Ended,
}

/// Runs on one pinned executor per core; the calling thread only waits.
pub(super) fn on_own_cores(server: Server) -> Result<Ended, ServerError> {
    if runtime::inside_executor() {
        return Err(ServerError::InsideExecutor);
    }
    let readiness = server.readiness.clone();
    let result = run(server);
    readiness.decide(Start::Failed);
    result
}

fn run(server: Server) -> Result<Ended, ServerError> {
    let cores = fit_cores(server.config())?;
    let prepared = setup::prepare(server, &cores.cores, true)?;
    let shared = prepared.shared.clone();
    let _signals = install_signals(prepared.signals, &shared)?;
    let (shutdown, hooks) = prepared.hooks.split();
    let hooks = Arc::new(hooks);
    let (sender, reports) = channel();
    let mut handles = Vec::new();
    let mut started = Ok(());
    for index in 0..cores.cores.len() {
        let core = CoreInfo { index, cpu: cores.pin(index) };
        match start_core(&shared, &hooks, core, sender.clone()) {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                started = Err(error);
                break;
            }
        }
    }
    drop(sender);
    let ended = match started {
        Ok(()) => supervise(&shared, &prepared.readiness, &reports, handles.len()),
        Err(_) => Ended::Stopped,
    };
    shared.stop.stop();
    let outcome = tasks::verdict(&shared, started.and(join(handles)));
    drop(prepared.reserved);
    tracing::info!("ended");
    finish(shutdown, outcome.map(|()| ended))
}

/// Has signals stop the server, where that was asked for; as long as the guard lives.
pub(super) fn install_signals(wanted: bool, shared: &Shared) -> Result<Option<SignalGuard>, ServerError> {
    let install = || runtime::signal::install(shared.stop.clone());
    wanted.then(install).transpose().map_err(|error| ServerError::Startup(error.into()))
}

/// Refuses a machine that lacks something, with a line for each check that failed.
fn fit_cores(config: &ServerConfig) -> Result<CoreSet, ServerError> {
    Ok(preflight::examine(&plan(config)).require()?)
}

/// What a configuration asks of the machine.
pub(crate) fn plan(config: &ServerConfig) -> Plan {
    Plan {
        cores: config.cores.clone(),
        max_cores: config.max_cores,
        max_connections: config.limits.max_connections,
    }
}

fn start_core(
    shared: &Arc<Shared>,
    hooks: &Arc<CoreHooks>,
    core: CoreInfo,
    reports: Sender<Report>,
) -> Result<ExecutorHandle<Result<(), ServerError>>, ServerError> {
    let settings = ExecutorSettings {
        spin_before_park: Duration::from_micros(shared.config.spin_before_park_us),
        adaptive_spin: Duration::from_micros(shared.config.adaptive_spin_us),
        watchdog: shared.watchdog.clone(),
        ..ExecutorSettings::default()
    };
    let (shared, hooks) = (shared.clone(), hooks.clone());
    let end = ReportsEnd(reports.clone());
    let main = move || async move {
        let _end = end;
        let ready = move || {
            // The supervisor may have ended already.
            let _ = reports.send(Report::Ready);
        };
        run_core(shared, hooks, core, None, ready).await
    };
    runtime::spawn_executor(core.cpu, &format!("ringmesh-{}", core.index), &settings, main)
        .map_err(|source| ServerError::Core { core: core.index, source })
}

/// Tells that a core has ended when it is dropped: also where the core never began, or panicked.
struct ReportsEnd(Sender<Report>);

impl Drop for ReportsEnd {
    fn drop(&mut self) {
        // The supervisor may have ended already.
        let _ = self.0.send(Report::Ended);
    }
}

/// Waits until every core is up, then until the first one ends or the time is over.
fn supervise(shared: &Shared, readiness: &Readiness, reports: &Receiver<Report>, cores: usize) -> Ended {
    let timeout = shared.config.run_timeout_ms.map(Duration::from_millis);
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut waiting = cores;
    loop {
        let left =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        match reports.recv_timeout(left.min(shared.service.period())) {
            Ok(Report::Ready) => {
                waiting -= 1;
                if waiting == 0 {
                    announce(shared, readiness);
                }
            }
            Ok(Report::Ended) | Err(RecvTimeoutError::Disconnected) => return Ended::Stopped,
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                tracing::info!("cancelled: run_timeout_ms is over");
                return Ended::TimedOut;
            }
            Err(RecvTimeoutError::Timeout) => shared.service.alive(|| probes::is_alive(shared)),
        }
    }
}

pub(super) fn announce(shared: &Shared, readiness: &Readiness) {
    shared.life.advance(Phase::Ready);
    for address in &shared.addresses {
        tracing::info!("running at http://{address}{}", shared.config.mount_path);
    }
    if let Some(address) = shared.probe_address {
        tracing::info!("probes at http://{address}");
    }
    if let Some(p2p) = &shared.p2p {
        p2p::announce(p2p, &shared.config);
    }
    if let Some(advice) = shared.access.advice() {
        tracing::warn!("{advice}");
    }
    shared.service.ready(&shared.addresses);
    readiness.decide(Start::Ready(shared.addresses.clone()));
}

fn join(handles: Vec<ExecutorHandle<Result<(), ServerError>>>) -> Result<(), ServerError> {
    let mut first = Ok(());
    for (core, handle) in handles.into_iter().enumerate() {
        let ended = match handle.join() {
            Ok(ended) => ended,
            Err(source) => Err(ServerError::Core { core, source }),
        };
        if first.is_ok() {
            first = ended;
        }
    }
    first
}

/// Runs the end hooks of the process, whatever came before; the first failure is kept.
pub(super) fn finish(
    hooks: ShutdownHooks,
    outcome: Result<Ended, ServerError>,
) -> Result<Ended, ServerError> {
    let stopped = hooks.run().map_err(ServerError::Shutdown);
    outcome.and_then(|ended| stopped.map(|()| ended))
}
