//! The tools of the workflow scheduler. They ask this node alone; its peers hear of it by themselves.
//!
//! The main path: [`ask::tool`] → a tool's [`ask::Ask::answer`] → [`Workflows`](crate::store::Workflows) of the core that
//! took the call, which the server provides as a [`WorkflowNode`] → [`answer::Shaped`].
//!
//! `tasks` holds what changes tasks, `clocks` what shows and feeds the clock, `tags` what reads tags; `shapes` holds what
//! they answer.

mod answer;
mod ask;
mod clocks;
mod node;
mod shapes;
mod tags;
mod tasks;

use std::sync::Arc;

use crate::mcp::Registry;

pub(crate) use node::{WorkflowNode, WorkflowNodes};

/// Registers the tools.
#[must_use]
pub(crate) fn register(registry: Registry, nodes: &Arc<dyn WorkflowNodes>) -> Registry {
    registry
        .with(ask::tool::<clocks::Status>(nodes))
        .with(ask::tool::<tasks::Submit>(nodes))
        .with(ask::tool::<tasks::Next>(nodes))
        .with(ask::tool::<tasks::Complete>(nodes))
        .with(ask::tool::<tags::CheckTags>(nodes))
        .with(ask::tool::<clocks::UpdatePeerState>(nodes))
        .with(ask::tool::<clocks::Clock>(nodes))
}
