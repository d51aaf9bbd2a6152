//! A server's life: cores start, requests are served, the server stops in order.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use futures_lite::FutureExt;

use super::Server;
use super::core::{self, CoreState};
use super::error::{BoxError, ServerError};
use super::exchange::Serves;
use super::hooks::{CoreInfo, Hooks};
use super::readiness::Start;
use super::setup::{self, Prepared};
use super::shared::{Shared, Stage};
use crate::runtime::{
    self, ExecutorHandle, ExecutorSettings, Listener, Queue, RuntimeError, Scope, ScopeError, ScopeOptions, preflight,
    topology,
};

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped: by its handle, a signal, or the scope it ran in.
    Stopped,
    /// `run_timeout_ms` was over.
    TimedOut,
}

/// After everything was cancelled, what is left of a core's tasks gets this long before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// Sessions past their time are looked for this often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

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
    let config = server.config();
    let cores = topology::select(config.cores.as_deref(), config.max_cores)?;
    refuse_unfit_machine(cores.cores.len(), config.limits.max_connections)?;
    let prepared = setup::prepare(server, &cores.cores, true)?;
    let shared = prepared.shared.clone();
    if prepared.signals {
        runtime::signal::install(&shared.stop).map_err(|source| ServerError::Startup(source.into()))?;
    }
    let hooks = Arc::new(prepared.hooks);
    let (sender, reports) = channel();
    let mut handles = Vec::new();
    for index in 0..cores.cores.len() {
        let core = CoreInfo { index, cpu: cores.pin(index) };
        handles.push(start_core(&shared, &hooks, core, sender.clone())?);
    }
    drop(sender);
    let ended = supervise(&shared, &prepared.readiness, &reports, handles.len());
    shared.stop.stop();
    let outcome = join(handles);
    drop(prepared.reserved);
    tracing::info!("ended");
    finish(hooks, outcome.map(|()| ended))
}

fn refuse_unfit_machine(cores: usize, max_connections: u64) -> Result<(), ServerError> {
    let failed: Vec<String> = preflight::failures(cores, max_connections);
    if failed.is_empty() { Ok(()) } else { Err(ServerError::Preflight(failed)) }
}

fn start_core(
    shared: &Arc<Shared>,
    hooks: &Arc<Hooks>,
    core: CoreInfo,
    reports: Sender<Report>,
) -> Result<ExecutorHandle<Result<(), ServerError>>, ServerError> {
    let settings = ExecutorSettings {
        spin_before_park: Duration::from_micros(shared.config.spin_before_park_us),
        ..ExecutorSettings::default()
    };
    let (shared, hooks) = (shared.clone(), hooks.clone());
    let main = move || async move {
        let ready = reports.clone();
        let result = run_core(shared, hooks, core, None, move || {
            let _ = ready.send(Report::Ready);
        })
        .await;
        // The supervisor may have ended already.
        let _ = reports.send(Report::Ended);
        result
    };
    runtime::spawn_executor(core.cpu, &format!("ringmesh-{}", core.index), &settings, main)
        .map_err(|source| ServerError::Core { core: core.index, source })
}

/// Waits until every core is up, then until the first one ends or the time is over.
fn supervise(shared: &Shared, readiness: &super::Readiness, reports: &Receiver<Report>, cores: usize) -> Ended {
    let timeout = shared.config.run_timeout_ms.map(Duration::from_millis);
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut waiting = cores;
    loop {
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        match reports.recv_timeout(left.min(Duration::from_secs(3600))) {
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
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn announce(shared: &Shared, readiness: &super::Readiness) {
    shared.stage.advance(Stage::Ready);
    for address in &shared.addresses {
        tracing::info!("running at http://{address}{}", shared.config.mount_path);
    }
    if let Some(address) = shared.probe_address {
        tracing::info!("probes at http://{address}");
    }
    if let Some(advice) = shared.access.advice() {
        tracing::warn!("{advice}");
    }
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

fn finish(hooks: Arc<Hooks>, outcome: Result<Ended, ServerError>) -> Result<Ended, ServerError> {
    let mut hooks = Arc::into_inner(hooks).expect("invariant: every core has ended and dropped its share");
    let stopped = hooks.take_shutdown().run().map_err(ServerError::Shutdown);
    outcome.and_then(|ended| stopped.map(|()| ended))
}

/// Runs on the caller's executor, as its core 0.
pub(super) async fn in_executor(server: Server, scope: Option<Scope>) -> Result<Ended, ServerError> {
    if !runtime::inside_executor() {
        return Err(ServerError::OutsideExecutor);
    }
    let failed = server.readiness.clone();
    let result = embedded(server, scope).await;
    failed.decide(Start::Failed);
    result
}

async fn embedded(server: Server, scope: Option<Scope>) -> Result<Ended, ServerError> {
    let Prepared { shared, hooks, readiness, reserved, .. } = setup::prepare(server, &[0], true)?;
    let hooks = Arc::new(hooks);
    let core = CoreInfo { index: 0, cpu: None };
    let timeout = shared.config.run_timeout_ms.map(Duration::from_millis);
    let serving = {
        let announced = shared.clone();
        run_core(shared.clone(), hooks.clone(), core, scope, move || announce(&announced, &readiness))
    };
    let outcome = match timeout {
        None => serving.await.map(|()| Ended::Stopped),
        Some(timeout) => {
            let ended = std::cell::Cell::new(Ended::Stopped);
            let stopper = async {
                runtime::sleep(timeout).await;
                tracing::info!("cancelled: run_timeout_ms is over");
                ended.set(Ended::TimedOut);
                shared.stop.stop();
                std::future::pending().await
            };
            serving.or(stopper).await.map(|()| ended.get())
        }
    };
    drop(reserved);
    drop(shared);
    finish(hooks, outcome)
}

/// One core from its start to its end.
async fn run_core(
    shared: Arc<Shared>,
    hooks: Arc<Hooks>,
    info: CoreInfo,
    parent: Option<Scope>,
    ready: impl FnOnce(),
) -> Result<(), ServerError> {
    runtime::warm_up().await;
    let tick = shared.watchdog.register(info.index, shared.metrics.clone());
    hooks.start_core(info).await.map_err(ServerError::Startup)?;
    let core = CoreState::new(shared, info.index, tick.activity());
    let served = match bind(&core.shared) {
        Ok(listeners) => {
            ready();
            serve(&core, listeners, parent).await
        }
        Err(error) => Err(error),
    };
    let stopped = hooks.stop_core(info).await.map_err(ServerError::Shutdown);
    tick.end().await;
    served.and(stopped)
}

/// The listeners of one core: those of MCP, and that of the probes where they have one of their own.
struct Listeners {
    mcp: Vec<Listener>,
    probes: Option<Listener>,
}

fn bind(shared: &Shared) -> Result<Listeners, ServerError> {
    let listen = |address: std::net::SocketAddr| {
        Listener::bind(address, shared.config.backlog).map_err(|source| ServerError::Bind { address, source })
    };
    let mcp = shared.addresses.iter().copied().map(listen).collect::<Result<_, _>>()?;
    Ok(Listeners { mcp, probes: shared.probe_address.map(listen).transpose()? })
}

async fn serve(core: &Rc<CoreState>, listeners: Listeners, parent: Option<Scope>) -> Result<(), ServerError> {
    let options = ScopeOptions { queue: Queue::Serve, grace: CANCEL_GRACE, name: "core", ..ScopeOptions::default() };
    let core = core.clone();
    let index = core.index;
    let served = Scope::run(options, move |scope| async move {
        serve_in(&core, listeners, parent, &scope).await?;
        Ok::<(), BoxError>(())
    })
    .await;
    served.map_err(|error| match error {
        ScopeError::Failed(source) => ServerError::Startup(source),
        other => ServerError::Core { core: index, source: RuntimeError::Panicked(other.to_string()) },
    })
}

async fn serve_in(
    core: &Rc<CoreState>,
    listeners: Listeners,
    parent: Option<Scope>,
    scope: &Scope,
) -> Result<(), BoxError> {
    let serves = if listeners.probes.is_some() { Serves::Mcp } else { Serves::Everything };
    let mut stoppers = Vec::new();
    for listener in listeners.mcp {
        stoppers.push(listener.stopper());
        scope.spawn("accept", accepting(core.clone(), listener, serves, scope.clone()))?;
    }
    let probes = listeners.probes.as_ref().map(Listener::stopper);
    if let Some(listener) = listeners.probes {
        scope.spawn("accept probes", accepting(core.clone(), listener, Serves::Probes, scope.clone()))?;
    }
    if core.index == 0 {
        scope.spawn("session sweep", sweep(core.clone(), scope.clone()))?;
    }
    match parent {
        Some(parent) => core.shared.stop.stopped().or(parent.cancelled()).await,
        None => core.shared.stop.stopped().await,
    }
    if core.index == 0 {
        tracing::info!("shutting down");
    }
    core.shared.stage.advance(Stage::Draining);
    runtime::sleep(Duration::from_millis(core.shared.config.shutdown_delay_ms)).await;
    stoppers.iter().for_each(runtime::ListenerStopper::stop);
    core::drain(core, Instant::now() + Duration::from_millis(core.shared.config.shutdown_grace_ms)).await;
    if let Some(probes) = probes {
        probes.stop();
    }
    scope.cancel();
    Ok(())
}

async fn accepting(core: Rc<CoreState>, listener: Listener, serves: Serves, scope: Scope) -> Result<(), BoxError> {
    core::accept_loop(core, listener, serves, scope).await;
    Ok(())
}

/// Ends the sessions whose time is over; one core does it for all.
async fn sweep(core: Rc<CoreState>, scope: Scope) -> Result<(), BoxError> {
    while !scope.is_cancelled() {
        let expired = core.shared.dispatcher.sweep(Instant::now());
        core.metrics().sessions_expired(expired);
        runtime::sleep(SWEEP_INTERVAL).or(scope.cancelled()).await;
    }
    Ok(())
}
