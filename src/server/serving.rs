//! One core's life: warm up, bind, accept, drain.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;

use super::core::{self, CoreState, Door};
use super::error::ServerError;
use super::exchange::Serves;
use super::hooks::{CoreHooks, CoreInfo};
use super::p2p::{self, P2pListeners};
use super::shared::Shared;
use super::tasks;
use crate::observe::Phase;
use crate::runtime::{
    self, BoxError, Listener, ListenerStopper, Queue, RuntimeError, Scope, ScopeError, ScopeOptions,
    SocketRing,
};

/// After everything was cancelled, what is left of a core's tasks gets this long before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// The end hooks of a core get this long.
const HOOK_TIME: Duration = Duration::from_secs(5);
/// Longer than any server runs.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Sessions past their time are looked for this often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One core from its start to its end.
pub(super) async fn run_core(
    shared: Arc<Shared>,
    hooks: Arc<CoreHooks>,
    info: CoreInfo,
    parent: Option<Scope>,
    ready: impl FnOnce(),
) -> Result<(), ServerError> {
    runtime::warm_up().await;
    // An executor of the caller's own has none yet.
    let _sockets = SocketRing::start(Duration::from_micros(shared.config.adaptive_spin_us));
    let watchdog = shared.watchdog.as_ref().expect("invariant: a server with sockets has a watchdog");
    let tick = watchdog.register(info.cpu.unwrap_or(info.index));
    hooks.start_core(info).await.map_err(ServerError::Startup)?;
    let core = CoreState::new(shared, info.index, tick.activity());
    let served = match bind(&core.shared) {
        Ok(listeners) => {
            ready();
            tasks::kept(&core, serve(&core, listeners, parent)).await
        }
        Err(error) => Err(error),
    };
    let stopped = stop_hooks(&hooks, info).await;
    tick.stop().await;
    served.and(stopped)
}

/// Runs the core's end hooks, spared whatever cancels the server and within a time of their own.
async fn stop_hooks(hooks: &CoreHooks, info: CoreInfo) -> Result<(), ServerError> {
    let options = ScopeOptions {
        shield: true,
        deadline: Some(Instant::now() + HOOK_TIME),
        ..ScopeOptions::named("on_core_shutdown")
    };
    let ended = Scope::run(options, |_| hooks.stop_core(info)).await;
    ended.map_err(|error| match error {
        ScopeError::Failed(source) => ServerError::Shutdown(source),
        other => ServerError::Shutdown(other.to_string().into()),
    })
}

/// The listeners of one core: those of MCP, that of the probes where they have one of their own, and those of peers.
struct Listeners {
    mcp: Vec<Listener>,
    probes: Option<Listener>,
    p2p: P2pListeners,
}

fn bind(shared: &Shared) -> Result<Listeners, ServerError> {
    let listen = |address: SocketAddr| {
        Listener::bind(address, shared.config.backlog).map_err(|source| ServerError::Bind { address, source })
    };
    let mcp = shared.addresses.iter().copied().map(listen).collect::<Result<_, _>>()?;
    let p2p = P2pListeners::bind(shared.p2p.as_ref(), listen)?;
    Ok(Listeners { mcp, probes: shared.probe_address.map(listen).transpose()?, p2p })
}

async fn serve(core: &Rc<CoreState>, listeners: Listeners, parent: Option<Scope>) -> Result<(), ServerError> {
    // The caller's scope is heard as a wish to shut down in order, below; it must not cut that short.
    let options = ScopeOptions {
        grace: CANCEL_GRACE,
        shield: parent.is_some(),
        deadline: parent.is_some().then(|| Instant::now() + NEVER),
        ..ScopeOptions::named("core")
    };
    let core = core.clone();
    let index = core.index;
    let served = Scope::run(options, move |scope| async move {
        let peers = ScopeOptions { queue: Queue::P2p, grace: CANCEL_GRACE, ..ScopeOptions::named("p2p") };
        let served = scope.child(peers, |peers| serve_in(&core, listeners, parent, &scope, peers)).await;
        core.drop_node();
        served.map_err(|error| match error {
            ScopeError::Failed(source) => source,
            other => other.to_string().into(),
        })
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
    peers: Scope,
) -> Result<(), BoxError> {
    let serves = if listeners.probes.is_some() { Serves::Mcp } else { Serves::Everything };
    let mut stoppers = listeners.p2p.stoppers();
    p2p::begin(core, listeners.p2p, &peers)?;
    for listener in listeners.mcp {
        stoppers.push(listener.stopper());
        let door = door(core, &listener, serves);
        scope.spawn("accept", core::accept_loop(core.clone(), listener, door, scope.clone()))?;
    }
    let probes = listeners.probes.as_ref().map(Listener::stopper);
    if let Some(listener) = listeners.probes {
        let door = Door::Http(Serves::Probes);
        scope.spawn("accept probes", core::accept_loop(core.clone(), listener, door, scope.clone()))?;
    }
    scope.spawn("upkeep", upkeep(core.clone(), scope.clone()))?;
    tasks::begin(core, scope)?;
    match parent {
        Some(parent) => core.shared.stop.stopped().or(parent.cancelled()).await,
        None => core.shared.stop.stopped().await,
    }
    if core.index == 0 {
        tracing::info!("shutting down");
        core.shared.service.stopping(core.shared.shutdown_time());
    }
    core.shared.life.advance(Phase::Draining);
    runtime::sleep(Duration::from_millis(core.shared.config.shutdown_delay_ms)).await;
    stoppers.iter().for_each(ListenerStopper::stop);
    if let Some(store) = &core.shared.store {
        store.drain();
    }
    core::drain(core, Instant::now() + Duration::from_millis(core.shared.config.shutdown_grace_ms)).await;
    if let Some(probes) = probes {
        probes.stop();
    }
    scope.cancel();
    Ok(())
}

/// What the connections of one of the server's listeners are.
fn door(core: &CoreState, listener: &Listener, serves: Serves) -> Door {
    let address = listener.local_addr();
    match &core.shared.p2p {
        Some(p2p) if p2p.also.contains(&address) => Door::Either(serves, p2p::via(address)),
        _ => Door::Http(serves),
    }
}

/// Drops what was taken off since this core's last request, and ends the sessions whose time is over; that one core does
/// for all.
async fn upkeep(core: Rc<CoreState>, scope: Scope) {
    while !scope.is_cancelled() {
        core.dispatcher.refresh();
        if core.index == 0 {
            core.shared.dispatcher.refresh();
            core.shared.dispatcher.sweep(Instant::now());
        }
        runtime::sleep(SWEEP_INTERVAL).or(scope.cancelled()).await;
    }
}
