//! `p2p_taskqueue_status`: what a node can do, and how it is.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request, seconds};
use super::node::Target;
use super::shapes::NodeAnswer;
use crate::mcp::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Status {
    /// Multiaddr of the peer to ask, ending in /p2p/ID. Without it and peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to ask.
    peer_id: Option<String>,
    /// Seconds to wait for the peer; default 10.
    timeout_s: Option<f64>,
    /// Also count the tasks and list the peers heard of.
    detail: Option<bool>,
}

impl Ask for Status {
    type Answer = NodeAnswer;
    const NAME: &'static str = "p2p_taskqueue_status";
    const TITLE: &'static str = "Task queue status";
    const DESCRIPTION: &'static str =
        "Tells what a node of the task queue can do; with detail also how many tasks wait and run there";
    const EFFECT: Effect = Effect::Reads;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let patience = seconds("timeout_s", self.timeout_s, PATIENCE)?;
        let json = request_json(self.detail.unwrap_or(false), patience.as_secs_f64());
        Ok(Request { json, patience })
    }
}

/// Asks for the status.
pub(super) fn request_json(detail: bool, timeout_s: f64) -> String {
    json::object(|object| {
        object.raw("op", "\"status\"");
        object.value("timeout_s", &timeout_s);
        object.value("detail", &detail);
    })
}
