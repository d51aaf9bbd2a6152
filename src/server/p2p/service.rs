//! What a core serves to peers: MCP and the task queue RPC, each under the rules of access.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::P2p;
use super::mcp::{McpHost, PeerGate, serve_mcp_stream};
use super::task_queue::{TaskQueueHost, serve_task_queue_stream};
use crate::limits::Limit;
use crate::mcp::Access;
use crate::p2p::access::Policy;
use crate::p2p::peers::ConnectionPlace;
use crate::p2p::stack::PeerStream;
use crate::p2p::{LocalBoxFuture, MCP_PROTOCOL, Remote, Service, TASK_QUEUE_PROTOCOL};
use crate::runtime::Scope;
use crate::server::core::CoreState;

/// In the order of the index that [`Service::serve`] gets.
pub(super) const PROTOCOLS: &[&str] = &[MCP_PROTOCOL, TASK_QUEUE_PROTOCOL];

/// The service of one core.
pub(super) struct Peers {
    mcp: Rc<McpHost>,
    task_queue: Rc<TaskQueueHost>,
    policy: Arc<Policy>,
}

impl Peers {
    /// Calls that wait become tasks of `scope`.
    pub(super) fn new(core: &Rc<CoreState>, p2p: &P2p, scope: &Scope) -> Rc<Peers> {
        let task_queue = TaskQueueHost::new(core.clone(), p2p.task_queue.clone());
        let peer_id = p2p.node.identity().base58();
        let mcp = McpHost::new(core.clone(), scope.clone(), peer_id, Some(task_queue.clone()));
        Rc::new(Peers { mcp, task_queue, policy: p2p.policy.clone() })
    }
}

impl Service for Peers {
    fn protocols(&self) -> &'static [&'static str] {
        PROTOCOLS
    }

    fn serve(
        self: Rc<Self>,
        protocol: usize,
        stream: PeerStream,
        remote: Rc<Remote>,
        place: Rc<ConnectionPlace>,
    ) -> LocalBoxFuture<'static, ()> {
        let gate = Rc::new(Gate { place, policy: self.policy.clone(), remote: remote.clone() });
        match protocol {
            0 => Box::pin(serve_mcp_stream(self.mcp.clone(), stream, remote, gate)),
            _ => Box::pin(serve_task_queue_stream(self.task_queue.clone(), stream, remote, gate)),
        }
    }
}

/// The rules for one peer.
struct Gate {
    place: Rc<ConnectionPlace>,
    policy: Arc<Policy>,
    remote: Rc<Remote>,
}

impl PeerGate for Gate {
    fn admit(&self, now: Instant) -> Result<(), Limit> {
        self.place.admit(now)
    }

    fn access(&self, token: Option<&str>) -> Access {
        if self.policy.access(&self.remote, token) { Access::Full } else { Access::ReadOnly }
    }
}
