//! `p2p_taskqueue_submit`: a new task.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request};
use super::node::Target;
use super::shapes::TaskIdAnswer;
use super::values::AnyJson;
use crate::mcp::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Submit {
    /// What kind of task it is: workers claim by it. Empty: text-generation.
    task_type: String,
    /// The model that it is for.
    model_name: String,
    /// What the worker gets: an object; anything else is put into one as `payload`.
    payload: Option<AnyJson>,
    /// Multiaddr of the peer to submit to, ending in /p2p/ID. Without it and peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to submit to.
    peer_id: Option<String>,
    /// The same key again names the same task, so that a submit can be repeated.
    idempotency_key: Option<String>,
    /// Seconds before the task may be claimed.
    delay_s: Option<f64>,
    /// How often it may be claimed before it counts as dead.
    max_attempts: Option<u32>,
    /// 1 to 10; 10 is claimed first. Default 5.
    priority: Option<i64>,
}

impl Ask for Submit {
    type Answer = TaskIdAnswer;
    const NAME: &'static str = "p2p_taskqueue_submit";
    const TITLE: &'static str = "Submit a task";
    const DESCRIPTION: &'static str = "Puts a task into the task queue of this node or of a peer";
    const EFFECT: Effect = Effect::Adds;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let json = json::object(|object| {
            object.raw("op", "\"submit\"");
            object.string("task_type", &self.task_type);
            object.string("model_name", &self.model_name);
            object.raw("payload", self.payload.as_ref().map_or("{}", AnyJson::text));
            object.maybe("idempotency_key", self.idempotency_key.as_deref());
            maybe(object, "delay_s", self.delay_s.as_ref());
            maybe(object, "max_attempts", self.max_attempts.as_ref());
            maybe(object, "priority", self.priority.as_ref());
        });
        Ok(Request { json, patience: PATIENCE })
    }
}

/// A member that is a number, a flag or a list, where it is given.
pub(super) fn maybe<T: serde::Serialize>(object: &mut json::Object<'_>, key: &str, value: Option<&T>) {
    if let Some(value) = value {
        object.value(key, value);
    }
}
