//! `p2p_taskqueue_list_tasks`, `p2p_taskqueue_get_task` and `p2p_taskqueue_wait_task`: tasks as they stand.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request, patience_beyond};
use super::node::Target;
use super::shapes::{TaskAnswer, TasksAnswer};
use super::submit::maybe;
use crate::mcp::json;

/// Seconds to wait for the end of a task where the caller does not say.
const WAIT_S: f64 = 60.0;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ListTasks {
    /// Only tasks that are queued, running, completed, failed or cancelled.
    status: Option<String>,
    /// At most so many tasks, up to 1000; default 50.
    limit: Option<i64>,
    /// Only tasks of these types.
    task_types: Option<Vec<String>>,
    /// Where the last list ended: the cursor that came with it.
    cursor: Option<String>,
    /// Multiaddr of the peer to ask, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to ask.
    remote_peer_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetTask {
    /// The task.
    task_id: String,
    /// Multiaddr of the peer to ask, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to ask.
    remote_peer_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct WaitTask {
    /// The task.
    task_id: String,
    /// Seconds to wait for its end; default 60. Negative: not at all.
    timeout_s: Option<f64>,
    /// Multiaddr of the peer to ask, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to ask.
    remote_peer_id: Option<String>,
}

impl Ask for ListTasks {
    type Answer = TasksAnswer;
    const NAME: &'static str = "p2p_taskqueue_list_tasks";
    const TITLE: &'static str = "List tasks";
    const DESCRIPTION: &'static str = "Lists tasks, the oldest first";
    const EFFECT: Effect = Effect::Reads;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let json = json::object(|object| {
            object.raw("op", "\"list\"");
            object.maybe("status", self.status.as_deref());
            object.value("limit", &self.limit.unwrap_or(50));
            maybe(object, "task_types", self.task_types.as_ref());
            object.maybe("cursor", self.cursor.as_deref());
        });
        Ok(Request { json, patience: PATIENCE })
    }
}

impl Ask for GetTask {
    type Answer = TaskAnswer;
    const NAME: &'static str = "p2p_taskqueue_get_task";
    const TITLE: &'static str = "Show a task";
    const DESCRIPTION: &'static str = "Shows a task as it stands; null where there is none with that id";
    const EFFECT: Effect = Effect::Reads;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        Ok(Request { json: get_json(&self.task_id), patience: PATIENCE })
    }
}

/// Asks for a task.
pub(super) fn get_json(task_id: &str) -> String {
    json::object(|object| {
        object.raw("op", "\"get\"");
        object.string("task_id", task_id);
    })
}

impl Ask for WaitTask {
    type Answer = TaskAnswer;
    const NAME: &'static str = "p2p_taskqueue_wait_task";
    const TITLE: &'static str = "Wait for a task";
    const DESCRIPTION: &'static str = "Waits until a task has ended, and shows it as it stands then or when the time is over; null where there is none";
    const EFFECT: Effect = Effect::Reads;
    const MAY_WAIT: bool = true;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let timeout_s = self.timeout_s.unwrap_or(WAIT_S);
        // Zero stands for the default in the protocol, and so it does here.
        let wait_s = if timeout_s == 0.0 { WAIT_S } else { timeout_s.max(0.0) };
        let json = json::object(|object| {
            object.raw("op", "\"wait\"");
            object.string("task_id", &self.task_id);
            object.value("timeout_s", &timeout_s);
        });
        let wait = Duration::try_from_secs_f64(wait_s).unwrap_or(Duration::MAX);
        Ok(Request { json, patience: patience_beyond(wait) })
    }
}
