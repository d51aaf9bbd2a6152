//! One core of the server: its state, its listeners, and the order in which it lets go of its connections.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_lite::FutureExt;

use super::connection::Connection;
use super::exchange::{self, Serves};
use super::p2p;
use super::roster::{Phase, Roster};
use super::shared::Shared;
use super::task_tools;
use crate::http::{HttpDate, Reject};
use crate::limits::Limit;
use crate::limits::Place;
use crate::mcp::{Dispatcher, Label};
use crate::observe::{CoreMetrics, RequestIds};
use crate::p2p::Via;
use crate::p2p::node::Node;
use crate::runtime::{self, Activity, AsyncStream, Buf, Listener, Scope, Stream};
use crate::store::LocalStore;

/// How long an accepting core pauses when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The log hears of it this often.
const WARN_INTERVAL: Duration = Duration::from_secs(5);
/// A flood of connections lets others have the core after so many.
const ACCEPTS_IN_A_ROW: u32 = 64;
/// At a drain, a core whose connections ask nothing for this long has nobody waiting.
const QUIET_TIME: Duration = Duration::from_millis(250);

/// The state of one core; it never leaves its thread.
pub(crate) struct CoreState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    pub(crate) roster: Rc<Roster>,
    pub(crate) activity: Activity,
    pub(crate) ids: RequestIds,
    /// This core's own handle: a running call counts on it, and that count stays on the core.
    pub(crate) dispatcher: Dispatcher,
    /// This core's side of the task queue, where there is one.
    pub(crate) store: Option<LocalStore>,
    /// What this core has to do for workflow tasks among peers.
    pub(crate) errands: p2p::Errands,
    /// Loops that still accept clients of MCP.
    accepting: Cell<usize>,
    /// Its libp2p node, while it serves.
    node: RefCell<Option<Rc<Node>>>,
    /// Where the nodes live that calls to peers make for themselves, should they have to.
    pub(super) dials_anew: OnceCell<Scope>,
    date: RefCell<(Instant, HttpDate)>,
}

impl CoreState {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, activity: Activity) -> Rc<Self> {
        let date = RefCell::new((Instant::now(), HttpDate::new(unix_s())));
        let dispatcher = Dispatcher::clone(&shared.dispatcher);
        let ids = RequestIds::new(index);
        let accepting = Cell::new(0);
        let (roster, node) = (Roster::new(), RefCell::default());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let store = shared.store.as_ref().map(|store| LocalStore::new(store.clone(), number));
        let errands = p2p::Errands::default();
        let core = Rc::new(Self {
            shared,
            index,
            roster,
            activity,
            ids,
            dispatcher,
            store,
            errands,
            accepting,
            node,
            dials_anew: OnceCell::new(),
            date,
        });
        task_tools::enter(&core);
        core
    }

    /// This core's libp2p node, where there is one.
    pub(crate) fn node(&self) -> Option<Rc<Node>> {
        self.node.borrow().clone()
    }

    pub(super) fn set_node(&self, node: Rc<Node>) {
        self.node.replace(Some(node));
    }

    /// Lets go of the node, whose service holds this core.
    pub(super) fn drop_node(&self) {
        let node = self.node.take();
        drop(node);
    }

    pub(crate) fn metrics(&self) -> &CoreMetrics {
        self.shared.metrics.core(self.index)
    }

    /// The Date header, read from the clock at most each half second.
    pub(crate) fn date(&self) -> HttpDate {
        let mut date = self.date.borrow_mut();
        let now = runtime::coarse_now();
        if now.saturating_duration_since(date.0) >= Duration::from_millis(500) {
            date.0 = now;
            date.1.set(unix_s());
        }
        date.1.clone()
    }

    /// Counts a finished MCP operation.
    pub(crate) fn record(&self, label: &Label, begun_at: Instant) {
        let error = label.error.map(|error| error as usize);
        self.metrics().operation(
            label.method as usize,
            label.tool.map(|tool| tool as usize),
            error,
            begun_at.elapsed(),
        );
        if let Some(limit) = label.error.and_then(|error| error.limit()) {
            self.metrics().hit(limit);
        }
    }

    /// Takes an accepted connection in, or tells it that the server is full.
    pub(crate) fn admit(self: &Rc<Self>, stream: Stream, serves: Serves, scope: &Scope) {
        let (places, limit) = match serves {
            Serves::Probes => (&self.shared.probe_connections, Limit::ProbeConnections),
            Serves::Everything | Serves::Mcp => (&self.shared.connections, Limit::Connections),
        };
        let Some(place) = places.try_enter() else {
            return self.turn_away(stream, limit);
        };
        let (core, connections) = (self.clone(), scope.clone());
        // A scope that is closing takes no new task; the connection is dropped with it.
        let _ = scope.spawn("connection", async move {
            core.serve(stream, serves, None, place, connections).await;
        });
    }

    /// Serves one connection that has a place, to its end.
    pub(super) async fn serve(
        self: &Rc<Self>,
        stream: Stream,
        serves: Serves,
        read_ahead: Option<Buf>,
        place: Place,
        scope: Scope,
    ) {
        self.metrics().connection_accepted();
        let connection = Connection::new(self.clone(), scope, stream, serves, read_ahead);
        self.guard(connection.run(), place).await;
    }

    /// Runs one connection; a panic in our own code costs that connection and nobody else.
    async fn guard(&self, connection: impl Future<Output = ()>, place: Place) {
        if AssertUnwindSafe(connection).catch_unwind().await.is_err() {
            self.metrics().panicked();
            tracing::error!(core = self.index, "a connection ended in a panic");
        }
        self.metrics().connection_closed();
        drop(place);
    }

    /// Best effort: the answer goes out with the close, without a task of its own.
    pub(super) fn turn_away(&self, mut stream: Stream, limit: Limit) {
        let reject = Reject::overloaded(limit, self.shared.limits.value(limit)).closing();
        let mut out = Vec::new();
        exchange::refuse(self, &reject, true, &mut out);
        stream.write(out);
    }
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What the connections of a listener are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Door {
    /// HTTP.
    Http(Serves),
    /// HTTP or libp2p, as the first byte tells.
    Either(Serves, Via),
    /// libp2p.
    P2p(Via),
}

impl Door {
    fn admit(self, core: &Rc<CoreState>, stream: Stream, scope: &Scope) {
        match self {
            Door::Http(serves) => core.admit(stream, serves, scope),
            Door::Either(serves, via) => p2p::admit_either(core, stream, serves, via, scope),
            Door::P2p(via) => {
                if let Some(node) = core.node() {
                    node.accept(AsyncStream::new(stream), via);
                }
            }
        }
    }
}

/// Accepts connections until the listener is stopped and nothing waits any more.
pub(super) async fn accept_loop(core: Rc<CoreState>, listener: Listener, door: Door, scope: Scope) {
    let probes = matches!(door, Door::Http(Serves::Probes));
    let _accepting = (!probes).then(|| Accepting::new(core.clone()));
    let mut in_a_row = 0;
    let mut warned_at = None;
    loop {
        match listener.accept().await {
            Ok(stream) => {
                door.admit(&core, stream, &scope);
                in_a_row += 1;
                if in_a_row % ACCEPTS_IN_A_ROW == 0 {
                    runtime::yield_now().await;
                }
            }
            Err(error) if listener.is_stopped() && error.kind() == ErrorKind::InvalidInput => return,
            Err(error) => {
                if warned_at.is_none_or(|at: Instant| at.elapsed() >= WARN_INTERVAL) {
                    warned_at = Some(Instant::now());
                    tracing::warn!(core = core.index, "cannot accept connections: {error}");
                }
                runtime::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Counts an accept loop for as long as it may still bring connections.
struct Accepting(Rc<CoreState>);

impl Accepting {
    fn new(core: Rc<CoreState>) -> Self {
        core.accepting.set(core.accepting.get() + 1);
        Self(core)
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.accepting.set(self.0.accepting.get() - 1);
    }
}

/// Lets the connections of a core end: what the kernel has taken is accepted, those with requests are answered, quiet
/// ones are closed, and what is left at `deadline` is cancelled.
pub(crate) async fn drain(core: &CoreState, deadline: Instant) {
    core.roster.advance(Phase::Draining);
    let node = core.node();
    if let Some(node) = &node {
        node.drain();
    }
    let peers = || node.as_ref().map_or(0, |node| node.accepted());
    let mut seen = core.roster.activity();
    let mut quiet_since = Instant::now();
    while core.accepting.get() + core.roster.awaited() + peers() > 0 && Instant::now() < deadline {
        runtime::sleep(Duration::from_millis(5)).await;
        if core.roster.activity() != seen || core.accepting.get() > 0 {
            seen = core.roster.activity();
            quiet_since = Instant::now();
        } else if quiet_since.elapsed() >= QUIET_TIME {
            core.roster.advance(Phase::Closing);
        }
    }
    core.roster.advance(Phase::Cancelling);
    if let Some(node) = &node {
        node.shut();
    }
}
