//! Fetches the workflow tasks that a peer has: page after page, each durable here before it is acknowledged.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::p2p::TASK_QUEUE_PROTOCOL;
use crate::p2p::node::{DialError, Node};
use crate::p2p::outbound::DialTarget;
use crate::p2p::rpc_client::{RpcOptions, call_line};
use crate::p2p::task_queue::fetch_answer;
use crate::server::core::CoreState;
use crate::server::p2p::P2p;
use crate::server::p2p::setup::FETCH_SENT_INDEX;

/// A peer has this long for each answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Pages of one exchange; the rest follows after the next heartbeat.
const MAX_PAGES: usize = 1_024;

/// Fetches until the peer has no more.
pub(super) async fn all(
    core: &Rc<CoreState>,
    node: &Rc<Node>,
    p2p: &P2p,
    target: &DialTarget,
) -> Result<(), String> {
    let Some(store) = &core.store else { return Ok(()) };
    let workflows = store.workflows();
    let peer = target.address().peer_id.to_base58();
    let token = p2p.outbound.token_for(&target.address().peer_id);
    for _ in 0..MAX_PAGES {
        let asked = workflows.fetch(&peer);
        let answer = call(core, node, p2p, target, &p2p.task_queue.fetch_request(&asked, token)).await?;
        let fetched = fetch_answer(&answer).map_err(|error| error.to_string())?;
        let moves = fetched.feed != asked.feed || fetched.through > asked.after;
        let merged = workflows.take_fetched(&peer, fetched).await.map_err(|error| error.to_string())?;
        if let Some(ack) = &merged.ack {
            call(core, node, p2p, target, &p2p.task_queue.ack_request(ack, token)).await?;
        }
        if !merged.more {
            return Ok(());
        }
        if !moves {
            return Err("it says that there is more, and does not go on".to_owned());
        }
    }
    Ok(())
}

/// One request and its answer, counted.
async fn call(
    core: &CoreState,
    node: &Rc<Node>,
    p2p: &P2p,
    target: &DialTarget,
    line: &[u8],
) -> Result<Vec<u8>, String> {
    let begun_at = Instant::now();
    let options = RpcOptions { timeout: ANSWER_TIME, max_line_bytes: p2p.task_queue.max_line_bytes() };
    let open = async {
        let (stream, ..) = node.open_to(target, &[TASK_QUEUE_PROTOCOL]).await?;
        Ok::<_, DialError>(stream)
    };
    let answer = call_line(open, line, options).await;
    core.metrics().p2p_operation(FETCH_SENT_INDEX, answer.is_err(), begun_at.elapsed());
    answer.map_err(|error| error.to_string())
}
