//! From the arguments of a call to its answer: the one way that all tools go which ask one node one thing.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Refused, Shaped, of_peer};
use super::node::{Target, TaskQueueNode, TaskQueueNodes};
use crate::mcp::{Context, Tool, ToolAnnotations, ToolGroup};
use crate::p2p::outbound::time_for_next_hop;

/// A peer has this long to answer, where the caller does not say.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The arguments of a tool, and what is asked because of them.
pub(super) trait Ask: DeserializeOwned + JsonSchema + 'static {
    /// What comes back, as clients are told.
    type Answer: DeserializeOwned + JsonSchema + 'static;
    /// The tool's name.
    const NAME: &'static str;
    /// Its name for people.
    const TITLE: &'static str;
    /// What it does.
    const DESCRIPTION: &'static str;
    /// What it does to the queue.
    const EFFECT: Effect;
    /// Whether a call may take as long as its arguments say, which may be longer than other tools may.
    const MAY_WAIT: bool = false;

    /// Who is asked.
    fn target(&self) -> Target;

    /// What is asked.
    ///
    /// # Errors
    /// An argument has the right type and makes no sense all the same.
    fn request(&self) -> Result<Request, Refused>;
}

/// A request of the task queue RPC.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// A JSON object.
    pub(super) json: String,
    /// How long a peer may take for its answer, the way there and back included.
    pub(super) patience: Duration,
}

/// What a tool does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) enum Effect {
    /// Nothing.
    Reads,
    /// It adds something at each call.
    Adds,
    /// It notes something, once or twice alike.
    Notes,
    /// It takes the place of what was there, once or twice alike.
    Replaces,
    /// Nobody knows.
    Anything,
}

impl Effect {
    pub(in crate::tools) fn annotations(self) -> ToolAnnotations {
        ToolAnnotations {
            read_only_hint: Some(self == Effect::Reads),
            destructive_hint: Some(matches!(self, Effect::Replaces | Effect::Anything)),
            idempotent_hint: Some(matches!(self, Effect::Reads | Effect::Notes | Effect::Replaces)),
            open_world_hint: Some(true),
            ..ToolAnnotations::default()
        }
    }
}

/// The tool whose arguments are `A`. One that may wait takes at most `longest`.
pub(super) fn tool<A: Ask>(nodes: &Arc<dyn TaskQueueNodes>, longest: Duration) -> Tool {
    let nodes = nodes.clone();
    let tool = Tool::new(A::NAME, A::DESCRIPTION, move |args: A, context: Context| {
        // Found at once: the tool is shared by all cores, and what it holds on to must not be.
        let node = nodes.on_core(context.core());
        async move { Ok(Shaped::<A::Answer>::from(ask(node, &args, &context).await)) }
    });
    let tool = tool.title(A::TITLE).annotations(A::EFFECT.annotations()).group(ToolGroup::Taskqueue);
    if A::MAY_WAIT { tool.timeout(longest) } else { tool }
}

async fn ask<A: Ask>(node: Option<Rc<dyn TaskQueueNode>>, args: &A, context: &Context) -> Answer {
    let Some(node) = node else { return not_serving().into() };
    let request = match args.request() {
        Ok(request) => request,
        Err(refused) => return refused.into(),
    };
    let target = args.target();
    if target.is_here() {
        return node.here(request.json, context.has_full_access()).await;
    }
    let max_depth = node.max_json_depth();
    match ask_peer(node, target, request, context).await {
        Ok(text) => of_peer::<A::Answer>(text, max_depth),
        Err(refused) => refused.into(),
    }
}

/// Has a peer answer, where the caller may have this node ask others, and within the time that the call has left.
pub(super) async fn ask_peer(
    node: Rc<dyn TaskQueueNode>,
    target: Target,
    request: Request,
    context: &Context,
) -> Result<String, Refused> {
    if !context.has_full_access() {
        let message = "whoever may only read here cannot have this node ask others: they would answer this node, not \
                       you; show the shared token, or ask the peer itself";
        return Err(Refused::new("unauthorized", message));
    }
    let left = context.deadline().saturating_duration_since(Instant::now());
    let Some(most) = time_for_next_hop(left) else {
        return Err(Refused::new("deadline_exceeded", "no time is left to ask a peer; give the call more"));
    };
    node.peer(target, request.json, request.patience.min(most)).await
}

pub(super) fn not_serving() -> Refused {
    Refused::new("shutting_down", "this core does not serve the task queue now; ask again in a moment")
}

/// A time in seconds that a caller gives, or `default`.
pub(super) fn seconds(name: &str, given: Option<f64>, default: Duration) -> Result<Duration, Refused> {
    let Some(seconds) = given else { return Ok(default) };
    if seconds <= 0.0 {
        let message = format!("{name} is {seconds}, and must be a number of seconds above 0");
        return Err(Refused::new("invalid_field", message));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// How long to wait for an answer that may itself take `time`.
pub(super) fn patience_beyond(time: Duration) -> Duration {
    time.saturating_add(PATIENCE)
}
