//! Tasks as resources: `ringmesh://tasks` counts them, `ringmesh://tasks/{task_id}` shows one.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::node::TaskQueueNodes;
use super::{reading, status};
use crate::mcp::{CallError, Contents, Context, Resource, ResourceTemplate};

/// Counts.
pub(crate) const TASKS_URI: &str = "ringmesh://tasks";
const TASK_URIS: &str = "ringmesh://tasks/{task_id}";
const JSON: &str = "application/json";

#[derive(Deserialize)]
struct Which {
    task_id: String,
}

/// The part of an answer that is shown.
#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow)]
    task: Option<&'a RawValue>,
    #[serde(borrow)]
    queue: Option<&'a RawValue>,
    error: Option<String>,
    message: Option<String>,
}

/// The URI of a task.
pub(crate) fn task_uri(task_id: impl std::fmt::Display) -> String {
    format!("{TASKS_URI}/{task_id}")
}

/// With `is_private`, as with a shared token, only who has full access hears of changes.
pub(super) fn counts(nodes: &Arc<dyn TaskQueueNodes>, is_private: bool) -> Resource {
    let nodes = nodes.clone();
    let resource = Resource::new(TASKS_URI, "tasks", move |context: Context| {
        let nodes = nodes.clone();
        async move {
            let answer = here(&nodes, &context, status::request_json(true, 1.0)).await?;
            let shown = shown(&answer)?;
            let queue =
                shown.queue.ok_or_else(|| CallError::internal("a status with detail has no queue"))?;
            Ok(Contents::text(queue.get().to_owned()))
        }
    });
    resource
        .title("Tasks")
        .description("How many tasks are queued and running, in all and by type")
        .mime_type(JSON)
        .private(is_private)
}

pub(super) fn task(nodes: &Arc<dyn TaskQueueNodes>, is_private: bool) -> ResourceTemplate {
    let nodes = nodes.clone();
    let template = ResourceTemplate::new(TASK_URIS, "task", move |which: Which, context: Context| {
        let nodes = nodes.clone();
        async move {
            let answer = here(&nodes, &context, reading::get_json(&which.task_id)).await?;
            match shown(&answer)?.task {
                Some(task) => Ok(Contents::text(task.get().to_owned())),
                None => Err(CallError::resource_not_found(context.uri().unwrap_or_default())),
            }
        }
    });
    let template = template.title("Task").description("A task of this node's task queue as it stands");
    template.mime_type(JSON).private(is_private)
}

async fn here(
    nodes: &Arc<dyn TaskQueueNodes>,
    context: &Context,
    request: String,
) -> Result<Answer, CallError> {
    let node =
        nodes.on_core(context.core()).ok_or_else(|| CallError::failed(super::ask::not_serving().message))?;
    Ok(node.here(request, context.has_full_access()).await)
}

fn shown(answer: &Answer) -> Result<Shown<'_>, CallError> {
    let shown: Shown<'_> = serde_json::from_str(&answer.json)
        .map_err(|error| CallError::internal(format!("an answer of this node: {error}")))?;
    if answer.ok {
        return Ok(shown);
    }
    let message = shown.message.unwrap_or_else(|| "the task queue failed".to_owned());
    Err(match shown.error.as_deref() {
        Some("unauthorized") => CallError::forbidden(message),
        _ => CallError::failed(message),
    })
}
