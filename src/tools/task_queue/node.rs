//! What the tools ask of the server that runs them.

use std::rc::Rc;
use std::time::Duration;

use super::answer::{Answer, Refused};
use crate::p2p::LocalBoxFuture;

/// Finds the node on the core that runs a call; tools are shared by all cores, nodes are not.
pub(crate) trait TaskQueueNodes: Send + Sync + 'static {
    /// The node of the core with this number, on whose thread this is called. `None` before it serves and after.
    fn on_core(&self, core: usize) -> Option<Rc<dyn TaskQueueNode>>;
}

/// One node of the task queue, on one core.
pub(crate) trait TaskQueueNode {
    /// Has this node answer a request of the task queue RPC: a JSON object. `full_access`: whether the caller may do
    /// more than read.
    fn here(self: Rc<Self>, request: String, full_access: bool) -> LocalBoxFuture<'static, Answer>;

    /// Has a peer answer it, within `patience`: the text of its answer, whatever that is.
    fn peer(
        self: Rc<Self>,
        target: Target,
        request: String,
        patience: Duration,
    ) -> LocalBoxFuture<'static, Result<String, Refused>>;

    /// Whether a caller may read at all.
    ///
    /// # Errors
    /// It shows no shared token, though there is one.
    fn may_read(&self, full_access: bool) -> Result<(), Refused>;

    /// How deep JSON may nest.
    fn max_json_depth(&self) -> usize;

    /// What this node says of itself.
    fn myself(&self) -> Myself;

    /// At most so many peers that it knows: those of the configuration, then the one heard last first.
    fn peers(&self, limit: usize) -> Vec<KnownPeer>;
}

/// Whom a request is for; both empty: this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// A multiaddr, empty where it is not given.
    pub(crate) multiaddr: String,
    /// A peer id, empty where it is not given.
    pub(crate) peer_id: String,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Myself {
    pub(crate) peer_id: String,
    /// Where peers connect, if anywhere.
    pub(crate) listen_port: Option<u16>,
    /// Seconds since 1970.
    pub(crate) started_at: f64,
}

/// A peer that the node knows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnownPeer {
    pub(crate) peer_id: String,
    /// Where it may be found, the id included.
    pub(crate) multiaddrs: Vec<String>,
    /// Whether the configuration names it as a bootstrap peer.
    pub(crate) bootstrap: bool,
    /// Whether any core has a connection to it.
    pub(crate) connected: bool,
    /// Seconds since 1970; `None`: never.
    pub(crate) last_seen: Option<f64>,
    pub(crate) agent: Option<String>,
    pub(crate) protocols: Vec<String>,
    pub(crate) round_trip: Option<Duration>,
}

impl Target {
    /// What two parameters of a tool come to.
    pub(super) fn new(multiaddr: Option<&str>, peer_id: Option<&str>) -> Target {
        let text = |text: Option<&str>| text.unwrap_or_default().trim().to_owned();
        Target { multiaddr: text(multiaddr), peer_id: text(peer_id) }
    }

    /// Whether this node itself is meant.
    pub(super) fn is_here(&self) -> bool {
        self.multiaddr.is_empty() && self.peer_id.is_empty()
    }
}
