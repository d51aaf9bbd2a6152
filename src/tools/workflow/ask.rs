//! From the arguments of a call to its answer: the one way that all tools go.

use std::rc::Rc;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{Failure, Shaped};
use super::node::{WorkflowNode, WorkflowNodes};
use crate::mcp::{Context, Tool, ToolGroup};
use crate::store::Workflows;
use crate::tools::task_queue::{Effect, Refused};

/// The arguments of a tool, and what comes of them.
pub(super) trait Ask: DeserializeOwned + JsonSchema + 'static {
    /// What is answered.
    type Answer: Serialize;
    /// How that looks, as clients are told.
    type Shape: JsonSchema + 'static;
    /// The tool's name.
    const NAME: &'static str;
    /// Its name for people.
    const TITLE: &'static str;
    /// What it does.
    const DESCRIPTION: &'static str;
    /// What it does to what is there.
    const EFFECT: Effect;

    /// Does what is asked.
    ///
    /// # Errors
    /// What the tool refuses.
    async fn answer(self, node: &Here) -> Result<Self::Answer, Failure>;
}

/// The node that answers, and its tasks.
pub(super) struct Here {
    pub(super) node: Rc<dyn WorkflowNode>,
    pub(super) workflows: Workflows,
}

/// The tool whose arguments are `A`.
pub(super) fn tool<A: Ask>(nodes: &Arc<dyn WorkflowNodes>) -> Tool {
    let nodes = nodes.clone();
    let tool = Tool::new(A::NAME, A::DESCRIPTION, move |args: A, context: Context| {
        // Found at once: the tool is shared by all cores, and what it holds on to must not be.
        let node = nodes.on_core(context.core());
        async move { Ok(Shaped::<A::Shape>::of(A::NAME, ask(node, args, &context).await)) }
    });
    tool.title(A::TITLE).annotations(A::EFFECT.annotations()).group(ToolGroup::Workflow)
}

async fn ask<A: Ask>(
    node: Option<Rc<dyn WorkflowNode>>,
    args: A,
    context: &Context,
) -> Result<A::Answer, Failure> {
    let not_serving = "this core does not serve workflow tasks now; ask again in a moment";
    let node = node.ok_or_else(|| Refused::new("shutting_down", not_serving))?;
    node.admit(context.has_full_access())?;
    let none = "this node keeps no workflow tasks: p2p is switched off";
    let workflows = node.workflows().ok_or_else(|| Refused::new("queue_unavailable", none))?;
    let answer = args.answer(&Here { node: node.clone(), workflows }).await;
    if let Err(Failure::Store(error)) = &answer {
        error.limit().into_iter().for_each(|limit| node.hit(limit));
    }
    answer
}
