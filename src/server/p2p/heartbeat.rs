//! The heartbeats that this node sends, on one core for all: to the peers that it was told of, and to those that it has
//! come to know.

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::{FutureExt as _, future};

use super::beats::Beats;
use super::setup::HEARTBEAT_SENT_INDEX;
use super::task_queue::now;
use super::{P2p, reach};
use crate::p2p::node::{DialError, Node};
use crate::p2p::outbound::DialTarget;
use crate::p2p::peers::Moment;
use crate::p2p::rpc_client::{RpcOptions, call_line};
use crate::p2p::{LocalBoxFuture, PeerId, Remote, TASK_QUEUE_PROTOCOL};
use crate::runtime::{self, Scope};
use crate::server::core::CoreState;

/// Known peers that a round looks at, the one heard last first; and those of them that it asks.
const MAX_LOOKED_AT: usize = 256;
const MAX_KNOWN_ASKED: usize = 64;
/// Peers that are asked at once.
const AT_ONCE: usize = 8;
/// A peer has this long to answer, and as long again for a ping.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Sends heartbeats, round after round, until the scope is cancelled or the server shuts down.
pub(super) async fn run(core: Rc<CoreState>, node: Rc<Node>, scope: Scope) {
    let Some(p2p) = &core.shared.p2p else { return };
    let options = p2p.node.options();
    let beats = RefCell::new(Beats::new(options.heartbeat));
    let stopped = || scope.cancelled().or(async { core.shared.stop.stopped().await });
    loop {
        let round = async {
            let targets = targets(&node, p2p, &beats.borrow());
            let waiting = RefCell::new(targets.into_iter());
            let work = || Box::pin(worker(&core, &node, p2p, &waiting, &beats)) as LocalBoxFuture<'_, ()>;
            all((0..AT_ONCE).map(|_| work()).collect()).await;
            runtime::sleep(options.heartbeat).await;
            false
        };
        let stop = async {
            stopped().await;
            true
        };
        if future::or(stop, round).await {
            return;
        }
    }
}

/// Runs all to their end.
async fn all(mut work: Vec<LocalBoxFuture<'_, ()>>) {
    poll_fn(|cx| {
        work.retain_mut(|work| work.as_mut().poll(cx).is_pending());
        if work.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Asks one peer after the other.
async fn worker(
    core: &CoreState,
    node: &Rc<Node>,
    p2p: &P2p,
    waiting: &RefCell<std::vec::IntoIter<DialTarget>>,
    beats: &RefCell<Beats>,
) {
    loop {
        let next = waiting.borrow_mut().next();
        let Some(target) = next else { return };
        let peer = target.address().peer_id;
        let beat = send(core, node, p2p, &target).await;
        if beat == Ok(true) {
            core.errands.fetch(peer);
        }
        let answers = beat.is_ok();
        note(&mut beats.borrow_mut(), peer, beat);
        if answers {
            // The round trip is nice to know; nothing depends on it.
            let _ = node.ping(&target).or(late()).await;
        }
    }
}

/// Remembers what came of a heartbeat, and says it where it is news.
fn note(beats: &mut Beats, peer: PeerId, beat: Result<bool, String>) {
    match beat {
        Ok(_) if beats.answered(peer, Instant::now()) => {
            tracing::info!(%peer, "the peer answers heartbeats");
        }
        Err(error) if beats.failed(peer, Instant::now()) => {
            tracing::warn!(%peer, "the peer answers no heartbeats: {error}");
        }
        _ => {}
    }
}

async fn late<T, E>() -> Result<Option<T>, E> {
    runtime::sleep(ANSWER_TIME).await;
    Ok(None)
}

/// One heartbeat, counted; true where the peer has workflow tasks to fetch.
pub(super) async fn send(
    core: &CoreState,
    node: &Rc<Node>,
    p2p: &P2p,
    target: &DialTarget,
) -> Result<bool, String> {
    let begun_at = Instant::now();
    let beat = beat(core, node, p2p, target).await;
    core.metrics().p2p_operation(HEARTBEAT_SENT_INDEX, beat.is_err(), begun_at.elapsed());
    beat
}

async fn beat(core: &CoreState, node: &Rc<Node>, p2p: &P2p, target: &DialTarget) -> Result<bool, String> {
    // Nothing is sent before the handshake has proved that the peer of the target is there.
    let token = p2p.outbound.token_for(&target.address().peer_id);
    let store = core.store.as_ref();
    let said = store.map(|store| store.workflows().beat());
    let request = p2p.task_queue.heartbeat_request(token, said.as_ref());
    let options = RpcOptions { timeout: ANSWER_TIME, max_line_bytes: p2p.task_queue.max_line_bytes() };
    let remote = OnceCell::new();
    let open = async {
        let (stream, _, found) = node.open_to(target, &[TASK_QUEUE_PROTOCOL]).await?;
        let _ = remote.set(found);
        Ok::<_, DialError>(stream)
    };
    let answer = call_line(open, &request, options).await.map_err(|error| error.to_string())?;
    let remote: &Rc<Remote> = remote.get().ok_or("there was no stream")?;
    let taken = p2p.task_queue.take_heartbeat_answer(remote, &answer, store, now());
    taken.map_err(|error| error.to_string())
}

/// Whom a round asks: the bootstrap peers, and of the known ones those that speak the protocol and can be reached.
fn targets(node: &Node, p2p: &P2p, beats: &Beats) -> Vec<DialTarget> {
    let (options, moment) = (p2p.node.options(), Moment::now());
    let mut targets: Vec<_> = options.bootstrap.iter().cloned().map(DialTarget::written).collect();
    let known = p2p.node.peers().list(MAX_LOOKED_AT, moment);
    let known = known.into_iter().filter(|peer| {
        let speaks = peer.protocols.iter().any(|name| name == TASK_QUEUE_PROTOCOL);
        speaks && !options.bootstrap.iter().any(|named| named.peer_id == peer.peer_id)
    });
    let reachable = known.filter_map(|peer| reach::at(p2p, node, peer.peer_id, peer.addresses));
    targets.extend(reachable.take(MAX_KNOWN_ASKED));
    let is_due = |target: &DialTarget| {
        let peer = &target.address().peer_id;
        *peer != node.peer_id() && beats.is_due(peer, moment.instant)
    };
    targets.retain(is_due);
    targets
}
