//! A peer asked because a caller of this node's tools wants it: who it is, whether it may be dialled, what it is shown.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::dialler::Dialler;
use super::{exchange, here, no_queue};
use crate::limits::Limit;
use crate::p2p::address::{PeerAddress, peer_id};
use crate::p2p::node::{DialError, Node};
use crate::p2p::outbound::{DialRefusal, DialTarget};
use crate::p2p::peers::Moment;
use crate::p2p::rpc_client::RpcError;
use crate::p2p::{MCP_PROTOCOL, PeerId, TASK_QUEUE_PROTOCOL};
use crate::server::core::CoreState;
use crate::server::p2p::{P2p, reach};
use crate::tools::task_queue::{Refused, Target};

/// Both ways to ask, the better one first.
const BOTH: &[&str] = &[TASK_QUEUE_PROTOCOL, MCP_PROTOCOL];
const TASK_QUEUE: &[&str] = &[TASK_QUEUE_PROTOCOL];
const MCP: &[&str] = &[MCP_PROTOCOL];

/// The answer of a peer to `request`, a JSON object with at least one member; of this node, where that is the peer.
pub(super) async fn ask(
    core: &Rc<CoreState>,
    target: &Target,
    request: String,
    patience: Duration,
) -> Result<String, Refused> {
    let Some(p2p) = &core.shared.p2p else { return Err(no_queue()) };
    let Some(node) = core.node() else { return Err(shutting_down()) };
    let Some(target) = whom(p2p, &node, target)? else {
        return Ok(here(core, &request, true).await.json);
    };
    // Nothing is sent before the handshake has proved that this very peer is there.
    let request = with_token(request, p2p.outbound.token_for(&target.address().peer_id));
    let protocols = protocols(&node, &target.address().peer_id);
    let failed = Cell::new(None);
    let Some(dialler) = Dialler::of(core) else { return Err(shutting_down()) };
    let open = async {
        let opened = dialler.open_to(&target, protocols).await;
        opened
            .map(|(stream, index, _)| (stream, protocols[index]))
            .inspect_err(|error| failed.set(Some(code(error))))
    };
    let max_bytes = core.shared.limits.value(Limit::P2pLineBytes);
    let answer =
        exchange::ask(open, &request, patience, usize::try_from(max_bytes).unwrap_or(usize::MAX)).await;
    answer.map_err(|error| refused(&error, failed.get()))
}

fn shutting_down() -> Refused {
    Refused::new("shutting_down", "this core does not reach peers now; ask again in a moment")
}

/// Who is meant; `None`: this node.
fn whom(p2p: &P2p, node: &Node, target: &Target) -> Result<Option<DialTarget>, Refused> {
    let invalid = |why: String| Refused::new("invalid_target", why);
    let named = match target.peer_id.as_str() {
        "" => None,
        text => Some(peer_id(text).map_err(invalid)?),
    };
    if target.multiaddr.is_empty() {
        let Some(named) = named else { return Ok(None) };
        return match named == node.peer_id() {
            true => Ok(None),
            false => known(p2p, node, named).map(Some),
        };
    }
    let text = match named {
        Some(named) if !target.multiaddr.contains("/p2p/") => format!("{}/p2p/{named}", target.multiaddr),
        _ => target.multiaddr.clone(),
    };
    let address: PeerAddress = text.parse().map_err(invalid)?;
    if let Some(named) = named.filter(|named| *named != address.peer_id) {
        let message = format!("remote_multiaddr leads to {}, the peer id given is {named}", address.peer_id);
        return Err(invalid(message));
    }
    if address.peer_id == node.peer_id() {
        return Ok(None);
    }
    let judged = p2p.outbound.judge(&text, |peer| node.shared().peers().knows(peer));
    judged.map(Some).map_err(|refusal| {
        let code = if matches!(refusal, DialRefusal::Address(_)) { "invalid_target" } else { "dial_refused" };
        Refused::new(code, refusal.to_string())
    })
}

/// Where a peer is reached of which only the id was given.
fn known(p2p: &P2p, node: &Node, peer: PeerId) -> Result<DialTarget, Refused> {
    reach::find(p2p, node, peer, None).ok_or_else(|| {
        let message = format!(
            "no address of {peer} is known that may be dialled; give remote_multiaddr, or name it in p2p_bootstrap_peers"
        );
        Refused::new("unknown_peer", message)
    })
}

/// What the peer is spoken to in. One that has not said yet what it speaks is asked, which takes a round trip.
fn protocols(node: &Node, peer: &PeerId) -> &'static [&'static str] {
    let spoken =
        node.shared().peers().find(peer, Moment::now()).map(|info| info.protocols).unwrap_or_default();
    let speaks = |protocol: &str| spoken.iter().any(|name| name == protocol);
    match (speaks(TASK_QUEUE_PROTOCOL), speaks(MCP_PROTOCOL)) {
        (true, _) => TASK_QUEUE,
        (false, true) => MCP,
        (false, false) => BOTH,
    }
}

/// The request with the token in it, where the peer is to see one.
fn with_token(mut request: String, token: Option<&str>) -> String {
    if let Some(token) = token {
        request.pop();
        request.push_str(",\"token\":");
        request.push_str(&serde_json::Value::from(token).to_string());
        request.push('}');
    }
    request
}

/// The code of a peer that was not reached.
fn code(error: &DialError) -> &'static str {
    match error {
        DialError::Denied(_) | DialError::Refused(..) => "dial_refused",
        DialError::Closing => "shutting_down",
        DialError::Limit(_) => "overloaded",
        DialError::Own => "invalid_target",
        _ => "peer_unreachable",
    }
}

fn refused(error: &RpcError, dial: Option<&'static str>) -> Refused {
    let (code, more) = match error {
        RpcError::Open(_) => (dial.unwrap_or("peer_unreachable"), "; nothing was asked"),
        RpcError::TimedOut(_) => {
            ("deadline_exceeded", "; whether the peer acted on the request is not known")
        }
        RpcError::Closed => ("peer_closed", "; whether it acted on the request is not known"),
        RpcError::RequestTooLarge { .. } => ("frame_too_large", "; it was not sent"),
        RpcError::AnswerTooLarge { .. } => ("answer_too_large", "; ask for less"),
        RpcError::Malformed(_) => ("malformed_answer", ""),
    };
    Refused::new(code, format!("{error}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_into_the_request() {
        let request = || r#"{"op":"get"}"#.to_owned();
        assert_eq!(with_token(request(), None), request());
        assert_eq!(with_token(request(), Some("a\"b")), r#"{"op":"get","token":"a\"b"}"#);
    }
}
