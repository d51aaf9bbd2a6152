//! The heartbeats that this node sends, on one core for all: to the peers that it was told of, and to those that it has
//! come to know.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _, future};

use super::P2p;
use super::beats::Beats;
use super::setup::HEARTBEAT_SENT_INDEX;
use super::task_queue::now;
use crate::p2p::address::{Endpoint, PeerAddress, place};
use crate::p2p::line::LineReader;
use crate::p2p::node::Node;
use crate::p2p::peers::{Moment, PeerInfo};
use crate::p2p::{LocalBoxFuture, Multiaddr, PeerId, TASK_QUEUE_PROTOCOL};
use crate::runtime::{self, Scope};
use crate::server::core::CoreState;

/// Known peers that a round looks at, the one heard last first; and those of them that it asks.
const MAX_LOOKED_AT: usize = 256;
const MAX_KNOWN_ASKED: usize = 64;
/// Peers that are asked at once.
const AT_ONCE: usize = 8;
/// A peer has this long to answer.
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
    waiting: &RefCell<std::vec::IntoIter<PeerAddress>>,
    beats: &RefCell<Beats>,
) {
    loop {
        let next = waiting.borrow_mut().next();
        let Some(target) = next else { return };
        let begun_at = Instant::now();
        let late = async {
            runtime::sleep(ANSWER_TIME).await;
            Err("it did not answer in time".to_owned())
        };
        let beat = future::or(beat(node, p2p, &target), late).await;
        core.metrics().p2p_operation(HEARTBEAT_SENT_INDEX, beat.is_err(), begun_at.elapsed());
        let mut beats = beats.borrow_mut();
        match beat {
            Ok(()) if beats.answered(target.peer_id, Instant::now()) => {
                tracing::info!(peer = %target.peer_id, "the peer answers heartbeats");
            }
            Err(error) if beats.failed(target.peer_id, Instant::now()) => {
                tracing::warn!(peer = %target.peer_id, "the peer answers no heartbeats: {error}");
            }
            _ => {}
        }
    }
}

/// One heartbeat and one ping.
async fn beat(node: &Rc<Node>, p2p: &P2p, target: &PeerAddress) -> Result<(), String> {
    let opened = node.open(target, &[TASK_QUEUE_PROTOCOL]).await;
    let (mut stream, _, remote) = opened.map_err(|error| error.to_string())?;
    // The handshake has proved who is there; whoever was not named by the operator gets no secret.
    let token = p2p.token.as_ref().filter(|_| is_named(p2p, &remote.peer_id));
    let request = p2p.task_queue.heartbeat_request(token.map(|token| token.0.as_str()));
    let failed = |error: std::io::Error| error.to_string();
    stream.write_all(&request).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut line = LineReader::new(p2p.task_queue.max_line_bytes());
    let mut bytes = vec![0; 4 << 10];
    loop {
        let len = stream.read(&mut bytes).await.map_err(failed)?;
        if len == 0 {
            return Err("it closed the stream without an answer".to_owned());
        }
        if line.feed(&bytes[..len]).map_err(|_| "its answer is no line".to_owned())? {
            break;
        }
    }
    // A peer that does not care for our end cannot hold the next one up.
    let _ = stream.close().await;
    let taken = p2p.task_queue.take_heartbeat_answer(&remote, line.line(), now());
    taken.map_err(|error| error.to_string())?;
    let _ = node.ping(target).await;
    Ok(())
}

/// Whether the operator named the peer.
fn is_named(p2p: &P2p, peer: &PeerId) -> bool {
    let options = p2p.node.options();
    options.allow.contains(peer) || options.bootstrap.iter().any(|known| known.peer_id == *peer)
}

/// Whom a round asks: the bootstrap peers, and of the known ones those that speak the protocol and can be reached.
fn targets(node: &Node, p2p: &P2p, beats: &Beats) -> Vec<PeerAddress> {
    let (options, moment) = (p2p.node.options(), Moment::now());
    let mut targets = options.bootstrap.clone();
    let known = p2p.node.peers().list(MAX_LOOKED_AT, moment);
    let known = known.into_iter().filter(|peer| {
        let speaks = peer.protocols.iter().any(|name| name == TASK_QUEUE_PROTOCOL);
        speaks && !options.bootstrap.iter().any(|named| named.peer_id == peer.peer_id)
    });
    let reachable = known.filter_map(|peer| address(node, p2p, peer));
    targets.extend(reachable.take(MAX_KNOWN_ASKED));
    targets
        .retain(|target| target.peer_id != node.peer_id() && beats.is_due(&target.peer_id, moment.instant));
    targets
}

/// How a known peer is reached: over the connection that this core has to it, or at an address that may be dialled. What
/// a peer announces must not lead into this machine or its network, unless the operator says so or named the peer.
fn address(node: &Node, p2p: &P2p, peer: PeerInfo) -> Option<PeerAddress> {
    let anywhere = p2p.node.options().dial_any || is_named(p2p, &peer.peer_id);
    let connected = node.is_connected(&peer.peer_id);
    let fits = |address: &&Multiaddr| match Endpoint::of(address) {
        Ok(Endpoint::Address(address)) => connected || anywhere || place(address.ip()).is_elsewhere(),
        // Where a name leads is known only once it is dialled.
        Ok(Endpoint::Name { .. }) => connected || anywhere,
        Err(_) => false,
    };
    let address = peer.addresses.iter().find(fits).cloned();
    Some(PeerAddress { address: address?, peer_id: peer.peer_id })
}
