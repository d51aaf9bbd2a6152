//! The tools of the task queue, for this node and for its peers, and tasks as resources.
//!
//! A tool turns its arguments into a request of the task queue RPC and has it answered by this node, on the core that
//! took the call, or by a peer. So both answer alike. The main path: [`ask::tool`] → a tool's [`ask::Ask::request`] →
//! [`TaskQueueNode::here`] or [`TaskQueueNode::peer`], which the server provides → [`answer::Shaped`].
//!
//! One file for each tool or pair of tools; `shapes` holds what they answer, `values` the arguments that are not plain.

mod answer;
mod ask;
mod cache;
mod call_tool;
mod claim;
mod complete;
mod docker;
mod heartbeat;
mod list_peers;
mod node;
mod reading;
mod resources;
mod shapes;
mod status;
mod submit;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;
use std::time::Duration;

use crate::limits::{Limit, Limits};
use crate::mcp::Registry;

pub(crate) use answer::{Answer, Refused};
pub(in crate::tools) use ask::Effect;
pub(crate) use node::{KnownPeer, Myself, Target, TaskQueueNode, TaskQueueNodes};
pub(crate) use resources::{TASKS_URI, task_uri};
pub(in crate::tools) use values::AnyJson;

/// What a call that waits has beyond the longest wait, so that the answer says that it is over.
const BEYOND_A_WAIT: Duration = Duration::from_secs(30);

/// Registers the tools and the resources. With a shared token, who does not show it does not hear of changes.
#[must_use]
pub(crate) fn register(
    registry: Registry,
    nodes: &Arc<dyn TaskQueueNodes>,
    limits: &Limits,
    has_token: bool,
) -> Registry {
    let longest = limits.duration(Limit::TaskWaitTime) + BEYOND_A_WAIT;
    registry
        .with(ask::tool::<status::Status>(nodes, longest))
        .with(ask::tool::<submit::Submit>(nodes, longest))
        .with(ask::tool::<claim::ClaimNext>(nodes, longest))
        .with(ask::tool::<call_tool::CallTool>(nodes, longest))
        .with(ask::tool::<reading::ListTasks>(nodes, longest))
        .with(ask::tool::<reading::GetTask>(nodes, longest))
        .with(ask::tool::<reading::WaitTask>(nodes, longest))
        .with(ask::tool::<complete::CompleteTask>(nodes, longest))
        .with(ask::tool::<heartbeat::Heartbeat>(nodes, longest))
        .with(ask::tool::<cache::CacheGet>(nodes, longest))
        .with(ask::tool::<cache::CacheSet>(nodes, longest))
        .with(ask::tool::<docker::DockerHub>(nodes, longest))
        .with(ask::tool::<docker::DockerGithub>(nodes, longest))
        .with(list_peers::tool(nodes))
        .resource(resources::counts(nodes, has_token))
        .resource_template(resources::task(nodes, has_token))
}
