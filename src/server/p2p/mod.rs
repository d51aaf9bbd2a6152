//! What the server offers to libp2p peers, and how its nodes are wired: listeners, service, heartbeats.
//!
//! The main path: `setup` (what all cores share) → `listen` (a core's doors) → [`Node::accept`] → `service` (the
//! protocols) → [`mcp`] or [`task_queue`]. What this node asks of peers by itself: `heartbeat`, `workflow`.

mod beats;
mod heartbeat;
mod listen;
pub(crate) mod mcp;
mod options;
#[cfg(test)]
mod pipe;
pub(super) mod reach;
mod said;
mod service;
mod setup;
pub(crate) mod task_queue;
mod workflow;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

pub(super) use listen::{P2pListeners, admit_either, via};
pub(super) use said::announce;
pub(super) use setup::{P2pSetup, operation_names, prepare, protocol_names};
pub(crate) use workflow::Errands;
use workflow::Exchanges;

use crate::observe::P2pState;
use crate::p2p::access::Policy;
use crate::p2p::node::{Node, NodeShared};
use crate::p2p::outbound::DialPolicy;
use crate::p2p::task_queue::TaskQueue;
use crate::runtime::{Scope, ScopeClosed};
use crate::server::core::CoreState;
use crate::server::shared::Shared;

/// The libp2p of one server, shared by its cores.
pub(crate) struct P2p {
    pub(crate) node: Arc<NodeShared>,
    /// Addresses that serve libp2p alone.
    pub(crate) own: Vec<SocketAddr>,
    /// Those of the server's addresses that serve libp2p too.
    pub(crate) also: Vec<SocketAddr>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) task_queue: Arc<TaskQueue>,
    /// Whom this node dials, and who is shown the shared token.
    pub(crate) outbound: DialPolicy,
    /// With whom workflow tasks are exchanged.
    exchanges: Mutex<Exchanges>,
}

impl P2p {
    /// The addresses where peers connect, with the peer id.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        let id = self.node.identity().base58();
        self.node.listen().iter().map(move |address| format!("{address}/p2p/{id}"))
    }

    /// What the probes tell.
    pub(crate) fn state(&self) -> P2pState {
        P2pState {
            peer_id: self.node.identity().base58().to_owned(),
            listen: self.addresses().collect(),
            connections: self.node.connections(),
            peers: self.node.peers().len() as u64,
        }
    }
}

/// Makes this core's node, and lets it accept and tell others of itself. Its tasks live in `scope`.
pub(super) fn begin(core: &Rc<CoreState>, listeners: P2pListeners, scope: &Scope) -> Result<(), ScopeClosed> {
    let Some(p2p) = &core.shared.p2p else { return Ok(()) };
    let service = service::Peers::new(core, p2p, scope);
    let metrics = core.shared.metrics.clone();
    let node = Node::new(p2p.node.clone(), Some(service), scope.clone(), metrics, core.index);
    core.set_node(node.clone());
    listeners.accept(core, scope)?;
    scope.spawn("workflow errands", workflow::run(core.clone(), node.clone(), scope.clone()))?;
    if core.index == 0 {
        scope.spawn("p2p heartbeat", heartbeat::run(core.clone(), node, scope.clone()))?;
    }
    Ok(())
}

/// How many peers are known, where there is any libp2p.
pub(super) fn peers_known(shared: &Shared) -> Option<u64> {
    shared.p2p.as_ref().map(|p2p| p2p.node.peers().len() as u64)
}
