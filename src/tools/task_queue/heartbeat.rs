//! `p2p_taskqueue_heartbeat`: a peer or a worker is alive.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request};
use super::node::Target;
use super::shapes::HeartbeatAnswer;
use super::values::AnyJson;
use crate::mcp::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Heartbeat {
    /// Who is alive.
    peer_id: Option<String>,
    /// The clock of that peer.
    clock: Option<AnyJson>,
    /// Multiaddr of the peer to tell, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to tell.
    remote_peer_id: Option<String>,
    /// The worker whose leases are renewed; the answer says which, and which of its tasks were cancelled.
    worker_id: Option<String>,
    /// How far its tasks are: a list of objects with task_id, and any of fencing_token, progress and logs.
    progress: Option<AnyJson>,
}

impl Ask for Heartbeat {
    type Answer = HeartbeatAnswer;
    const NAME: &'static str = "p2p_taskqueue_heartbeat";
    const TITLE: &'static str = "Send a heartbeat";
    const DESCRIPTION: &'static str = "Says that a peer is alive, and renews the leases of a worker";
    const EFFECT: Effect = Effect::Notes;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let json = json::object(|object| {
            object.raw("op", "\"peer.heartbeat\"");
            object.maybe("peer_id", self.peer_id.as_deref());
            if let Some(clock) = &self.clock {
                object.raw("clock", clock.text());
            }
            object.maybe("worker_id", self.worker_id.as_deref());
            if let Some(progress) = &self.progress {
                object.raw("progress", progress.text());
            }
        });
        Ok(Request { json, patience: PATIENCE })
    }
}
