//! One generator thread: opens its connections, waits for the common start, and drives every lane to the end.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::runtime::{self, Scope, ScopeOptions, Stream, Watchdog};

use crate::answer::{self, ErrorKind, Fault};
use crate::checker::{Checker, Rule};
use crate::gate::{Gate, Phase};
use crate::lane::{Lane, Shared};
use crate::options::{Sessions, Shape};
use crate::request::{self, Template, find};
use crate::stats::Stats;
use crate::values::Target;

/// How often a thread looks whether the run has begun or ended.
const PHASE_POLL: Duration = Duration::from_millis(2);
/// Pause before a lost connection is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// What one thread has to do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    pub(crate) rule: Rule,
    pub(crate) connections: usize,
    /// The number of this thread.
    pub(crate) index: usize,
    /// Keeps the reactor from parking with runnable tasks.
    pub(crate) watchdog: Watchdog,
    /// The first id of this thread; each thread has its own range.
    pub(crate) first_id: u64,
    /// Told once, when every connection is open.
    pub(crate) ready: Sender<()>,
    /// The phase of the run.
    pub(crate) gate: Arc<Gate>,
}

/// Runs the plan on the current executor and returns what was counted.
pub(crate) async fn run(plan: Plan) -> Stats {
    runtime::warm_up().await;
    let _tick = plan.watchdog.register(plan.index);
    let checker = Checker::new(plan.rule, plan.shape.message_bytes as usize);
    let shared = Rc::new(Shared::new(Arc::clone(&plan.gate), checker, plan.first_id));
    let plan = Rc::new(plan);
    let mut opened = Vec::with_capacity(plan.connections);
    let mut template = None;
    for _ in 0..plan.connections {
        match open(&plan, &mut template).await {
            Ok(connection) => opened.push(connection),
            Err(fault) => {
                // One refusal tells enough; the others would each wait for their own time-out.
                shared.stats.borrow_mut().fail(fault, 1);
                break;
            }
        }
    }
    // Nobody listens any more when the run has given up waiting for this thread.
    let _ = plan.ready.send(());
    while plan.gate.phase() == Phase::Opening {
        runtime::sleep(PHASE_POLL).await;
    }
    drive_all(&plan, &shared, opened).await;
    let unanswered = shared.outstanding();
    shared.stats.borrow_mut().fail(Fault::new(ErrorKind::Unanswered, "no answer before the end"), unanswered);
    shared.take_stats()
}

/// Runs every lane in a scope of its own task, and cancels what is left after the grace.
async fn drive_all(plan: &Rc<Plan>, shared: &Rc<Shared>, opened: Vec<(Stream, Rc<Template>)>) {
    let options = ScopeOptions { grace: Duration::ZERO, ..ScopeOptions::named("load") };
    let outcome = Scope::run(options, |scope| async move {
        for (stream, template) in opened {
            let lane = Lane::new(Rc::clone(shared), template, plan.shape.pipeline as usize);
            scope.spawn("lane", keep_driving(Rc::clone(plan), lane, stream))?;
        }
        while plan.gate.phase() < Phase::Over {
            runtime::sleep(PHASE_POLL).await;
        }
        future::or(scope.wait_idle(), runtime::sleep(plan.shape.grace_s)).await;
        scope.cancel();
        Ok::<(), runtime::ScopeClosed>(())
    })
    .await;
    if let Err(error) = outcome {
        let fault = Fault::new(ErrorKind::Io, format!("the generator itself failed: {error}"));
        shared.stats.borrow_mut().fail(fault, 1);
    }
}

/// Drives one lane; a connection that breaks is counted and opened again until the time is over.
async fn keep_driving(plan: Rc<Plan>, mut lane: Lane, mut stream: Stream) {
    loop {
        match drive(&mut lane, &mut stream).await {
            Ok(()) => return,
            Err(fault) => lane.fail(fault),
        }
        loop {
            runtime::sleep(REOPEN_PAUSE).await;
            if lane.is_over() {
                return;
            }
            match open(&plan, &mut None).await {
                Ok((fresh, template)) => {
                    stream = fresh;
                    lane.set_template(template);
                    break;
                }
                Err(fault) => lane.fail(fault),
            }
        }
    }
}

async fn drive(lane: &mut Lane, stream: &mut Stream) -> Result<(), Fault> {
    let io = |error: std::io::Error| Fault::new(ErrorKind::Io, error.to_string());
    let mut out = Vec::new();
    loop {
        lane.refill(&mut out, Instant::now());
        if !out.is_empty() {
            out = stream.write(out);
            stream.flush().await.map_err(io)?;
        }
        if lane.is_idle() {
            return Ok(());
        }
        let received = stream.read().await.map_err(io)?;
        if received.is_empty() {
            return Err(Fault::new(ErrorKind::Closed, "the server closed the connection"));
        }
        lane.receive(&received, Instant::now())?;
    }
}

/// Opens a connection and, in a revision that has them, a session; `shared` keeps the template where one serves all.
async fn open(plan: &Plan, shared: &mut Option<Rc<Template>>) -> Result<(Stream, Rc<Template>), Fault> {
    let refused = |error: std::io::Error| Fault::new(ErrorKind::Connect, error.to_string());
    let mut stream = Stream::connect(plan.target.address, plan.shape.grace_s).await.map_err(refused)?;
    let shape = &plan.shape;
    let own_session = shape.era.has_sessions() && shape.sessions == Sessions::PerConnection;
    if let (Some(template), false) = (&*shared, own_session) {
        return Ok((stream, Rc::clone(template)));
    }
    let session = if shape.era.has_sessions() && plan.rule != Rule::Fixed {
        let too_late = async {
            runtime::sleep(shape.grace_s).await;
            Err(Fault::new(ErrorKind::Connect, "no session in time"))
        };
        future::or(handshake(plan, &mut stream), too_late).await?
    } else {
        None
    };
    let message_bytes = shape.message_bytes as usize;
    let template =
        Rc::new(Template::call(&plan.target, shape.era, &shape.tool, message_bytes, session.as_deref()));
    *shared = Some(Rc::clone(&template));
    Ok((stream, template))
}

/// initialize and initialized; the session's id where the server gives one.
async fn handshake(plan: &Plan, stream: &mut Stream) -> Result<Option<String>, Fault> {
    let era = plan.shape.era;
    let (session, body) = exchange(stream, request::initialize(&plan.target, era), 200).await?;
    if find(&body, b"\"result\"").is_none() {
        return Err(Fault::new(ErrorKind::Connect, String::from_utf8_lossy(&body).into_owned()));
    }
    exchange(stream, request::initialized(&plan.target, era, session.as_deref()), 202).await?;
    Ok(session)
}

async fn exchange(
    stream: &mut Stream,
    request: Vec<u8>,
    status: u16,
) -> Result<(Option<String>, Vec<u8>), Fault> {
    let io = |error: std::io::Error| Fault::new(ErrorKind::Connect, error.to_string());
    stream.write(request);
    stream.flush().await.map_err(io)?;
    let mut input = Vec::new();
    loop {
        let received = stream.read().await.map_err(io)?;
        if received.is_empty() {
            return Err(Fault::new(ErrorKind::Connect, "closed during the handshake"));
        }
        input.extend_from_slice(&received);
        match answer::parse(&input)? {
            Some(answer) if answer.status == status => {
                return Ok((answer.session, answer.body.into_owned()));
            }
            Some(answer) => return Err(Fault::new(ErrorKind::Connect, answer::describe(&answer))),
            None => {}
        }
    }
}
