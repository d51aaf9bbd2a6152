//! `p2p_taskqueue_complete_task`: the end of a task.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request};
use super::node::Target;
use super::shapes::TaskIdAnswer;
use super::submit::maybe;
use super::values::AnyJson;
use crate::mcp::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CompleteTask {
    /// The task.
    task_id: String,
    /// completed, failed or cancelled; default completed.
    status: Option<String>,
    /// What came of it: an object; anything else is put into one as `result`.
    result: Option<AnyJson>,
    /// Why it failed.
    error: Option<String>,
    /// Multiaddr of the peer that has the task, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer that has the task.
    remote_peer_id: Option<String>,
    /// The fencing_token of the claim: without it, a task that was claimed more than once cannot be ended.
    fencing_token: Option<u64>,
    /// For a task that failed: whether it may be tried again.
    retryable: Option<bool>,
}

impl Ask for CompleteTask {
    type Answer = TaskIdAnswer;
    const NAME: &'static str = "p2p_taskqueue_complete_task";
    const TITLE: &'static str = "End a task";
    const DESCRIPTION: &'static str =
        "Ends a task: completed with its result, failed with an error, or cancelled";
    const EFFECT: Effect = Effect::Replaces;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let json = json::object(|object| {
            object.raw("op", "\"complete\"");
            object.string("task_id", &self.task_id);
            object.string("status", self.status.as_deref().unwrap_or("completed"));
            if let Some(result) = &self.result {
                object.raw("result", result.text());
            }
            object.maybe("error", self.error.as_deref());
            maybe(object, "fencing_token", self.fencing_token.as_ref());
            maybe(object, "retryable", self.retryable.as_ref());
        });
        Ok(Request { json, patience: PATIENCE })
    }
}
