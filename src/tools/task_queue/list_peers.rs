//! `list_peers`: the peers that this node knows, and on request what each of them can do.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Refused, Shaped, of_peer};
use super::ask::{Effect, Request, ask_peer, not_serving, seconds};
use super::node::{KnownPeer, Target, TaskQueueNode, TaskQueueNodes};
use super::shapes::{NodeAnswer, PeersAnswer};
use super::status;
use crate::mcp::json::{self, Object};
use crate::mcp::{Context, Tool, ToolGroup};
use crate::p2p::LocalBoxFuture;

/// Ways to find peers that clients name.
const METHODS: [&str; 3] = ["mdns", "rendezvous", "dht"];
/// A list has at most so many peers.
const MAX_PEERS: usize = 1_000;
/// Peers that are asked what they can do; those beyond have no `status`.
const MAX_ASKED: usize = 64;
/// Peers that are asked at once.
const AT_ONCE: usize = 8;
/// How long each has to answer where the caller does not say.
const STATUS_TIME: Duration = Duration::from_secs(5);
/// How many peers are listed where the caller does not say.
const DEFAULT_PEERS: i64 = 50;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ListPeers {
    /// Ask each peer for its status too, at most 64 of them.
    include_capabilities: Option<bool>,
    /// Seconds to wait for each peer's status; default 5.
    capabilities_timeout_s: Option<f64>,
    /// With the counts of tasks and the peers that each has heard of.
    capabilities_detail: Option<bool>,
    /// Whether to look for peers by the discovery methods; default true.
    discover: Option<bool>,
    /// Seconds that looking may take; default 1.5.
    discovery_timeout_s: Option<f64>,
    /// How to look: mdns, rendezvous, dht; default all of them.
    discovery_methods: Option<Vec<String>>,
    /// At most so many peers, up to 1000; default 50.
    limit: Option<i64>,
}

/// What the arguments come to.
#[derive(Debug, PartialEq)]
struct Asked {
    limit: usize,
    methods: Vec<&'static str>,
    /// How long each peer has for its status, and whether with detail.
    status: Option<(Duration, bool)>,
}

pub(super) fn tool(nodes: &Arc<dyn TaskQueueNodes>) -> Tool {
    let nodes = nodes.clone();
    let description = "Lists the peers that this node knows, and on request what each of them can do";
    let tool = Tool::new("list_peers", description, move |args: ListPeers, context: Context| {
        let node = nodes.on_core(context.core());
        async move {
            let answer = match (args.read(), node) {
                (Err(refused), _) => refused.into(),
                (_, None) => not_serving().into(),
                (Ok(asked), Some(node)) => list(node, &asked, &context).await,
            };
            Ok(Shaped::<PeersAnswer>::from(answer))
        }
    });
    tool.title("List peers").annotations(Effect::Reads.annotations()).group(ToolGroup::Taskqueue)
}

impl ListPeers {
    fn read(&self) -> Result<Asked, Refused> {
        let time = seconds("capabilities_timeout_s", self.capabilities_timeout_s, STATUS_TIME)?;
        seconds("discovery_timeout_s", self.discovery_timeout_s, STATUS_TIME)?;
        let status = self.include_capabilities.unwrap_or(false);
        let detail = self.capabilities_detail.unwrap_or(false);
        let limit = usize::try_from(self.limit.unwrap_or(DEFAULT_PEERS).max(1)).unwrap_or(MAX_PEERS);
        Ok(Asked {
            limit: limit.min(MAX_PEERS),
            methods: self.methods()?,
            status: status.then_some((time, detail)),
        })
    }

    fn methods(&self) -> Result<Vec<&'static str>, Refused> {
        if !self.discover.unwrap_or(true) {
            return Ok(Vec::new());
        }
        let Some(named) = &self.discovery_methods else { return Ok(METHODS.to_vec()) };
        let known = |name: &String| {
            let known = METHODS.iter().find(|known| known.eq_ignore_ascii_case(name.trim())).copied();
            known.ok_or_else(|| {
                let message = format!("discovery_methods has {name:?}; there are {}", METHODS.join(", "));
                Refused::new("invalid_field", message)
            })
        };
        named.iter().map(known).collect()
    }
}

async fn list(node: Rc<dyn TaskQueueNode>, asked: &Asked, context: &Context) -> Answer {
    if let Err(refused) = node.may_read(context.has_full_access()) {
        return refused.into();
    }
    let peers = node.peers(asked.limit);
    let statuses = match asked.status {
        Some(how) => statuses(&node, &peers, how, context).await,
        None => BTreeMap::new(),
    };
    let myself = node.myself();
    let json = json::object(|object| {
        object.raw("ok", "true");
        object.string("peer_id", &myself.peer_id);
        object.string("self_peer_id", &myself.peer_id);
        object.value("listen_port", &myself.listen_port);
        object.value("started_at", &myself.started_at);
        object.value("count", &peers.len());
        let entries = peers.iter().map(|peer| entry(peer, statuses.get(&peer.peer_id)));
        object.raw("peers", &format!("[{}]", entries.collect::<Vec<_>>().join(",")));
        if !asked.methods.is_empty() {
            object.raw("discovery", &discovery(&asked.methods));
        }
    });
    Answer { json, ok: true }
}

fn entry(peer: &KnownPeer, status: Option<&Answer>) -> String {
    json::object(|object| {
        object.string("peer_id", &peer.peer_id);
        object.maybe("multiaddr", peer.multiaddrs.first().map(String::as_str));
        object.value("multiaddrs", &peer.multiaddrs);
        object.value("bootstrap", &peer.bootstrap);
        object.value("connected", &peer.connected);
        object.value("last_seen", &peer.last_seen);
        object.maybe("agent", peer.agent.as_deref());
        object.value("protocols", &peer.protocols);
        if let Some(time) = peer.round_trip {
            object.value("round_trip_ms", &((time.as_secs_f64() * 1e6).round() / 1e3));
        }
        if let Some(status) = status {
            object.raw("status", &status.json);
        }
    })
}

/// Says of each method by name that this node does not have it.
fn discovery(methods: &[&str]) -> String {
    json::object(|object| {
        for method in methods {
            let said = json::object(|object: &mut Object<'_>| {
                object.raw("available", "false");
                let message = format!(
                    "this node does not look for peers by {method}: it lists its bootstrap peers and those it has met"
                );
                object.string("message", &message);
            });
            object.raw(method, &said);
        }
    })
}

/// Asks the peers for their status, some at once.
async fn statuses(
    node: &Rc<dyn TaskQueueNode>,
    peers: &[KnownPeer],
    (time, detail): (Duration, bool),
    context: &Context,
) -> BTreeMap<String, Answer> {
    let (next, found) = (Cell::new(0), RefCell::new(BTreeMap::new()));
    let max_depth = node.max_json_depth();
    let asked = &peers[..peers.len().min(MAX_ASKED)];
    let worker = || async {
        while let Some(peer) = asked.get(next.replace(next.get() + 1)) {
            let target = Target { multiaddr: String::new(), peer_id: peer.peer_id.clone() };
            let json = status::request_json(detail, time.as_secs_f64());
            let request = Request { json, patience: time };
            let answer = match ask_peer(node.clone(), target, request, context).await {
                Ok(text) => of_peer::<NodeAnswer>(text, max_depth),
                Err(refused) => refused.into(),
            };
            found.borrow_mut().insert(peer.peer_id.clone(), answer);
        }
    };
    let mut workers: Vec<LocalBoxFuture<'_, ()>> =
        (0..AT_ONCE.min(asked.len())).map(|_| Box::pin(worker()) as LocalBoxFuture<'_, ()>).collect();
    poll_fn(|cx| {
        workers.retain_mut(|worker| worker.as_mut().poll(cx).is_pending());
        if workers.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(workers);
    found.into_inner()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]
    use super::*;

    fn read(arguments: &str) -> Result<Asked, Refused> {
        serde_json::from_str::<ListPeers>(arguments).unwrap().read()
    }

    #[test]
    fn arguments_have_their_defaults_and_bounds() {
        let all = METHODS.to_vec();
        assert_eq!(read("{}").unwrap(), Asked { limit: 50, methods: all, status: None });
        let asked =
            read(r#"{"include_capabilities":true,"capabilities_detail":true,"limit":0,"discover":false}"#);
        let status = Some((STATUS_TIME, true));
        assert_eq!(asked.unwrap(), Asked { limit: 1, methods: Vec::new(), status });
        let asked =
            read(r#"{"limit":99999,"discovery_methods":["DHT"],"capabilities_timeout_s":0.5}"#).unwrap();
        assert_eq!((asked.limit, asked.methods), (MAX_PEERS, vec!["dht"]));
        for (arguments, allowed) in [
            (r#"{"discovery_methods":["bluetooth"]}"#, "mdns, rendezvous, dht"),
            (r#"{"capabilities_timeout_s":0}"#, "above 0"),
            (r#"{"discovery_timeout_s":-1}"#, "above 0"),
        ] {
            let refused = read(arguments).unwrap_err();
            assert_eq!(refused.error, "invalid_field");
            assert!(refused.message.contains(allowed), "{arguments}: {}", refused.message);
        }
    }
}
