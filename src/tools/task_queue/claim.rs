//! `p2p_taskqueue_claim_next`: the next task for a worker.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, Request, patience_beyond};
use super::node::Target;
use super::shapes::ClaimAnswer;
use super::submit::maybe;
use super::values::AnyJson;
use crate::mcp::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ClaimNext {
    /// Who will do the task.
    worker_id: String,
    /// Types of tasks that the worker can do; none: all.
    supported_task_types: Option<Vec<String>>,
    /// The identity that scheduling goes by; default the worker_id.
    peer_id: Option<String>,
    /// The clock of that peer.
    clock: Option<AnyJson>,
    /// Multiaddr of the peer to claim from, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to claim from.
    remote_peer_id: Option<String>,
    /// Seconds until the task goes to somebody else, unless a heartbeat renews the claim; default 1800.
    lease_s: Option<f64>,
    /// How many tasks to take at most; default 1. More than one come as `tasks`.
    max_tasks: Option<u32>,
    /// Seconds to wait for a task where there is none; default 0.
    wait_s: Option<f64>,
}

impl Ask for ClaimNext {
    type Answer = ClaimAnswer;
    const NAME: &'static str = "p2p_taskqueue_claim_next";
    const TITLE: &'static str = "Claim a task";
    const DESCRIPTION: &'static str = "Gives a worker the next task that it can do, for as long as its lease lasts; null where there is none";
    const EFFECT: Effect = Effect::Adds;
    const MAY_WAIT: bool = true;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let none = Vec::new();
        let json = json::object(|object| {
            object.raw("op", "\"claim\"");
            object.string("worker_id", &self.worker_id);
            object.value("supported_task_types", self.supported_task_types.as_ref().unwrap_or(&none));
            object.maybe("peer_id", self.peer_id.as_deref());
            if let Some(clock) = &self.clock {
                object.raw("clock", clock.text());
            }
            maybe(object, "lease_s", self.lease_s.as_ref());
            maybe(object, "max_tasks", self.max_tasks.as_ref());
            maybe(object, "wait_s", self.wait_s.as_ref());
        });
        let wait = Duration::try_from_secs_f64(self.wait_s.unwrap_or(0.0).max(0.0));
        Ok(Request { json, patience: patience_beyond(wait.unwrap_or(Duration::MAX)) })
    }
}
