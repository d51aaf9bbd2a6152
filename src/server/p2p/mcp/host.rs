//! What the streams of one core have in common, and what they ask of the node.

use std::rc::Rc;
use std::time::Instant;

use crate::limits::Limit;
use crate::mcp::Access;
use crate::mcp::peer::PeerOptions;
use crate::p2p::{LocalBoxFuture, Remote};
use crate::runtime::Scope;
use crate::server::core::CoreState;

/// What every stream of `/mcp+p2p/1.0.0` on one core is served with.
pub(crate) struct McpHost {
    pub(super) core: Rc<CoreState>,
    /// Takes the tasks of calls that wait.
    pub(super) scope: Scope,
    pub(super) options: PeerOptions,
    pub(super) task_queue: Option<Rc<dyn TaskQueueRpc>>,
}

impl McpHost {
    /// `peer_id` is this node's in base58. `task_queue` answers the tool `task_queue.rpc`; without it that is unknown.
    pub(crate) fn new(
        core: Rc<CoreState>,
        scope: Scope,
        peer_id: &str,
        task_queue: Option<Rc<dyn TaskQueueRpc>>,
    ) -> Rc<McpHost> {
        let options = PeerOptions::new(peer_id, &core.shared.limits, task_queue.is_some());
        Rc::new(McpHost { core, scope, options, task_queue })
    }

    /// Counts a panic in our own code, which ended a stream.
    pub(super) fn note_panic(&self) {
        self.core.metrics().panicked();
        tracing::error!(core = self.core.index, "a stream of a peer ended in a panic");
    }
}

/// What the node decides about the requests of one peer.
pub(crate) trait PeerGate {
    /// Counts a request against the peer's rate and that of all peers.
    ///
    /// # Errors
    /// The limit that it is beyond: [`Limit::P2pRequestRate`] or [`Limit::P2pTotalRate`].
    fn admit(&self, now: Instant) -> Result<(), Limit>;

    /// What the peer may do; `token` is what it shows for the shared token. What it may do without one is asked once a
    /// stream.
    fn access(&self, token: Option<&str>) -> Access;
}

/// The task queue, as the tool `task_queue.rpc` reaches it.
pub(crate) trait TaskQueueRpc {
    /// Answers one request object, given as JSON text with its token inside; the answer is one JSON object on one line,
    /// without a newline. It is to bound its own time.
    fn answer<'a>(&'a self, request: &'a str, remote: &'a Remote) -> LocalBoxFuture<'a, Vec<u8>>;
}
