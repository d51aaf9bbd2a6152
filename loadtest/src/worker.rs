//! One generator thread: opens its connections, waits for the common start, and drives every lane to the end.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::node::{Node, NodeOptions};
use ringmesh::runtime::{self, BoxError, Queue, Scope, ScopeOptions, Watchdog};

use crate::fault::{ErrorKind, Fault};
use crate::gate::{Gate, Phase};
use crate::lane::{Lane, Shared};
use crate::mix::Script;
use crate::options::{Sessions, Shape};
use crate::pace::Pace;
use crate::procfs::own_tid;
use crate::source::Source;
use crate::stats::Stats;
use crate::values::Endpoint;
use crate::wire::{Opener, Wire};

/// How often a thread looks whether the run has begun or ended.
const PHASE_POLL: Duration = Duration::from_millis(2);
/// Pause before a lost connection is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// What one thread has to do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) endpoint: Endpoint,
    pub(crate) script: Arc<Script>,
    pub(crate) pace: Pace,
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    /// Requests in flight on each connection.
    pub(crate) pipeline: u32,
    pub(crate) connections: usize,
    /// The number of this thread, and of all.
    pub(crate) index: usize,
    pub(crate) threads: usize,
    /// Keeps the reactor from parking with runnable tasks.
    pub(crate) watchdog: Watchdog,
    /// The first id of this thread; each thread has its own range.
    pub(crate) first_id: u64,
    /// Told once, when every connection is open: the number of the thread.
    pub(crate) ready: Sender<u32>,
    /// The phase of the run.
    pub(crate) gate: Arc<Gate>,
}

/// Runs the plan on the current executor and returns what was counted.
pub(crate) async fn run(plan: Plan) -> Stats {
    runtime::warm_up().await;
    let _tick = plan.watchdog.register(plan.index);
    let duration = plan.shape.duration_s;
    let open_loop = plan.pace != Pace::Closed;
    let shared =
        Shared::new(Arc::clone(&plan.gate), Arc::clone(&plan.script), open_loop, duration, plan.first_id);
    let shared = Rc::new(shared.with_handicap(Duration::from_micros(plan.shape.handicap_us)));
    let plan = Rc::new(plan);
    let options = ScopeOptions { grace: Duration::ZERO, queue: Queue::Serve, ..ScopeOptions::named("load") };
    let outcome = Scope::run(options, |scope| {
        let (plan, shared) = (Rc::clone(&plan), Rc::clone(&shared));
        async move { load(&plan, &shared, &scope).await }
    })
    .await;
    if let Err(error) = outcome {
        let fault = Fault::new(ErrorKind::Io, format!("the generator itself failed: {error}"));
        shared.stats.borrow_mut().fail(fault, 1);
    }
    let unanswered = shared.outstanding();
    shared.stats.borrow_mut().fail(Fault::new(ErrorKind::Unanswered, "no answer before the end"), unanswered);
    match Rc::try_unwrap(shared) {
        Ok(shared) => shared.into_stats(),
        Err(_) => unreachable!("invariant: every lane has ended with its scope"),
    }
}

/// Opens the connections, runs a lane on each, and cancels what is left after the grace.
async fn load(plan: &Rc<Plan>, shared: &Rc<Shared>, scope: &Scope) -> Result<(), BoxError> {
    let opened = open_all(plan, shared, scope).await;
    // Nobody listens any more when the run has given up waiting for this thread.
    let _ = plan.ready.send(own_tid());
    while plan.gate.phase() == Phase::Opening {
        runtime::sleep(PHASE_POLL).await;
    }
    let (parts, in_flight) = ((plan.index, plan.threads), plan.connections * plan.pipeline as usize);
    let source = Source::new(Arc::clone(&plan.gate), &plan.script, plan.pace, plan.seed, parts, in_flight);
    let source = Rc::new(source);
    let lanes = scope.clone();
    for connection in opened {
        let (plan, source) = (Rc::clone(plan), Rc::clone(&source));
        lanes.spawn("lane", keep_driving(plan, source, connection))?;
    }
    if source.is_open() {
        let source = Rc::clone(&source);
        scope.spawn("pacer", async move { source.run_pacer().await })?;
    }
    while plan.gate.phase() < Phase::Over {
        runtime::sleep(PHASE_POLL).await;
    }
    future::or(settled(shared, &source), runtime::sleep(plan.shape.grace_s)).await;
    count_unbegun(&source, shared);
    scope.cancel();
    Ok(())
}

/// Resolves once nothing is in flight and nothing waits to begin.
async fn settled(shared: &Shared, source: &Source) {
    while shared.outstanding() > 0 || source.waiting() > 0 {
        runtime::sleep(PHASE_POLL).await;
    }
}

/// What nobody began before the end took at least until now.
fn count_unbegun(source: &Source, shared: &Shared) {
    let now = Instant::now();
    let (unbegun, dropped) = source.take_unbegun();
    let mut stats = shared.stats.borrow_mut();
    (stats.offered, stats.not_begun) = (source.offered(), unbegun.len() as u64 + dropped);
    for arrival in unbegun {
        stats.record_lag(arrival.seen_late());
        stats.record_operation(arrival.operation, now.saturating_duration_since(arrival.intended));
    }
}

/// A connection, its lane, and the way to another one.
struct Connection {
    opener: Opener,
    wire: Option<Wire>,
    session: Vec<u8>,
    lane: Lane,
    with_session: bool,
    /// Whether it was opened for the operation that runs on it, and ends with it.
    lasts_one_operation: bool,
    /// An empty vector for the next requests.
    room: Vec<u8>,
}

/// Opens every connection; one refusal tells enough, the others would each wait for their own time-out.
async fn open_all(plan: &Plan, shared: &Rc<Shared>, scope: &Scope) -> Vec<Connection> {
    let mut connections = Vec::with_capacity(plan.connections);
    for number in 0..plan.connections {
        let node = || Node::client(scope.clone(), Identity::ephemeral(), NodeOptions::default());
        let opener = Opener::new(&plan.endpoint, node);
        // Over libp2p answers may overtake each other on a stream, so each request in flight has a stream of its own.
        let (streams, in_flight) = match &opener {
            Opener::Http(_) => (1, plan.pipeline),
            Opener::Peer(..) => (plan.pipeline, 1),
        };
        for _ in 0..streams {
            let common = connections.first().map(|first: &Connection| &first.session[..]);
            let number = (plan.index + plan.threads * number) as u32;
            let lane = Lane::new(Rc::clone(shared), number, in_flight as usize, Vec::new());
            match Connection::open(plan, opener.clone(), lane, common).await {
                Ok(connection) => connections.push(connection),
                Err(fault) => {
                    shared.stats.borrow_mut().fail(fault, 1);
                    return connections;
                }
            }
        }
    }
    connections
}

/// Drives one lane; a connection that breaks is counted and opened again until the time is over.
async fn keep_driving(plan: Rc<Plan>, source: Rc<Source>, mut connection: Connection) {
    loop {
        match connection.drive(&plan, &source).await {
            Ok(()) => return,
            Err(fault) => connection.lane.fail(fault, Instant::now()),
        }
        loop {
            runtime::sleep(REOPEN_PAUSE).await;
            if connection.lane.is_over() && source.waiting() == 0 {
                return;
            }
            match connection.reopen(&plan).await {
                Ok(()) => break,
                Err(fault) => connection.lane.fail(fault, Instant::now()),
            }
        }
    }
}

impl Connection {
    /// Opens a connection; `common` is the session that the first one has, where there is a first one.
    async fn open(plan: &Plan, opener: Opener, mut lane: Lane, common: Option<&[u8]>) -> Result<Self, Fault> {
        let with_session = plan.shape.era.has_sessions() && !plan.script.fixed;
        let common = common.filter(|_| plan.shape.sessions == Sessions::Shared);
        let open =
            opener.open(&plan.script.dialect, with_session && common.is_none(), plan.shape.grace_s).await?;
        let (wire, session) = (Some(open.0), common.map_or(open.1, <[u8]>::to_vec));
        lane.set_session(session.clone());
        let (lasts_one_operation, room) = (false, Vec::new());
        Ok(Self { opener, wire, session, lane, with_session, lasts_one_operation, room })
    }

    /// Begins what the source has and takes answers, until the run is over and everything is answered.
    async fn drive(&mut self, plan: &Plan, source: &Source) -> Result<(), Fault> {
        let mut more_to_come = true;
        loop {
            if self.lane.is_idle() && self.lasts_one_operation {
                self.lane.await_server(true);
                let ended = self.end(plan).await;
                self.lane.await_server(false);
                ended?;
            }
            self.begin_due(plan, source).await?;
            self.send().await?;
            if self.lane.is_idle() {
                if !source.wait().await {
                    return Ok(());
                }
            } else if more_to_come && source.is_open() && self.lane.has_room() {
                // Both futures lose nothing when they are dropped.
                let arrival = async { Ok(source.wait().await) };
                more_to_come = future::or(async { self.receive().await.map(|()| true) }, arrival).await?;
            } else {
                self.receive().await?;
            }
        }
    }

    async fn begin_due(&mut self, plan: &Plan, source: &Source) -> Result<(), Fault> {
        while self.lane.has_room() {
            // What comes between now and the first byte is the server's time: a connection, a session.
            let now = Instant::now();
            let Some(arrival) = source.try_take(now) else { break };
            let fresh = self.lane.operation(&arrival).fresh_connection;
            // It is on its way from here on, however long its connection takes.
            self.lane.await_server(true);
            let ready = self.get_ready(plan, fresh).await;
            self.lane.await_server(false);
            ready?;
            self.lasts_one_operation = fresh;
            self.lane.begin(arrival, now);
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Fault> {
        if !self.lane.has_out() {
            return Ok(());
        }
        let room = std::mem::take(&mut self.room);
        let out = self.lane.take_out(room);
        let wire = self.wire.as_mut().ok_or_else(no_wire)?;
        self.room = wire.write(out);
        wire.flush().await.map_err(lost)
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        let (wire, lane) = (self.wire.as_mut().ok_or_else(no_wire)?, &mut self.lane);
        let received = wire.read(|bytes| {
            if bytes.is_empty() {
                return Err(Fault::new(ErrorKind::Closed, "the server closed the connection"));
            }
            lane.receive(bytes, Instant::now())
        });
        received.await.map_err(lost)?
    }

    /// Makes sure of a connection, for a `fresh` operation of one of its own.
    async fn get_ready(&mut self, plan: &Plan, fresh: bool) -> Result<(), Fault> {
        if fresh {
            self.end(plan).await?;
        }
        if self.wire.is_none() {
            self.reopen(plan).await?;
        }
        Ok(())
    }

    /// Ends the session and the connection.
    async fn end(&mut self, plan: &Plan) -> Result<(), Fault> {
        self.lasts_one_operation = false;
        let Some(wire) = self.wire.take() else { return Ok(()) };
        let end = async {
            wire.end(&plan.script.dialect, &self.session).await;
            Ok(())
        };
        let too_late = async {
            runtime::sleep(plan.shape.grace_s).await;
            Err(Fault::new(ErrorKind::Unanswered, "no answer to the end of a session"))
        };
        let ended = future::or(end, too_late).await;
        self.lane.set_free(Instant::now());
        ended
    }

    async fn reopen(&mut self, plan: &Plan) -> Result<(), Fault> {
        let opened = self.opener.open(&plan.script.dialect, self.with_session, plan.shape.grace_s).await?;
        self.session.clone_from(&opened.1);
        self.lane.set_session(opened.1);
        self.wire = Some(opened.0);
        Ok(())
    }
}

fn lost(error: std::io::Error) -> Fault {
    Fault::new(ErrorKind::Io, error.to_string())
}

fn no_wire() -> Fault {
    Fault::new(ErrorKind::Connect, "there is no connection")
}
