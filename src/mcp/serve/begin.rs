//! Starting a handler, of whatever kind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::limits::Limit;
use crate::mcp::ask::round;
use crate::mcp::call::context::{CallState, Context, Target};
use crate::mcp::call::outcome;
use crate::mcp::call::running::Call;
use crate::mcp::message::answer::{Answer, Outcome, Refusal};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::handler::Started;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::tools_call::{CallMeta, call_state};

impl Dispatcher {
    /// Starts the handler of `target`; `timeout` is its own, where it has one.
    pub(crate) fn begin(
        &self,
        request: &Request<'_>,
        id: &str,
        (target, timeout): (Target, Option<Duration>),
        meta: CallMeta,
        start: impl FnOnce(Context) -> Started,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        if request.at.full {
            let message = "The server runs as many handlers as max_inflight_requests allows; try again later";
            return Err(Refusal::new(ErrorKind::InflightFull, message));
        }
        let timeout = timeout.unwrap_or_else(|| self.shared.options.limits.duration(Limit::ToolTime));
        let state = Arc::new(call_state(request, id, target, meta, timeout));
        let single_use = is_single_use(request, target);
        if single_use {
            round::use_once(&state)?;
        }
        let context = Context { state: state.clone() };
        let started = catch_unwind(AssertUnwindSafe(|| start(context))).unwrap_or_else(|panic| {
            let error = outcome::panicked(state.name(), &*panic);
            Started::Running(Box::pin(std::future::ready(Err(error))))
        });
        match started {
            Started::Running(future) => Ok(Outcome::Call(Call::new(state, future))),
            Started::Invalid(problem) => Ok(Outcome::Answer(invalid(&state, problem, out))),
            Started::Full => {
                if single_use {
                    round::unuse(&state);
                }
                let message = format!(
                    "The tool {} cannot start now: every thread for blocking tools is taken",
                    state.name()
                );
                let refusal = Refusal::new(ErrorKind::BlockingFull, message);
                let label = state.label();
                Ok(Outcome::Answer(refusal.answer(out, Some(id), Some(state.revision), label)))
            }
        }
    }
}

/// Whether a request state of the target may be used once.
fn is_single_use(request: &Request<'_>, target: Target) -> bool {
    let catalog = request.snapshot.catalog();
    match target {
        Target::Tool(index) => catalog.tool(index).single_use,
        Target::Resource(index) => catalog.resource(index).single_use,
        Target::Template(index) => catalog.template(index).described.single_use,
        Target::Prompt(index) => catalog.prompt(index).single_use,
        // Nobody is asked while a text is completed.
        Target::PromptArgument(_) | Target::TemplateVariable(_) => false,
    }
}

/// The answer to arguments that do not fit.
fn invalid(state: &CallState, problem: String, out: &mut Vec<u8>) -> Answer {
    let name = state.name();
    let refusal = match state.target {
        // A result that the model sees, so that it can call again with better ones.
        Target::Tool(_) => {
            let text = format!("Invalid arguments for the tool {name}: {problem}.");
            return outcome::write_failed(out, state, ErrorKind::InvalidArguments, text, state.label());
        }
        // A URI whose parts are not what the template stands for.
        Target::Resource(_) | Target::Template(_) => {
            let refusal = Refusal::no_resource(name);
            Refusal { message: format!("{}: {problem}", refusal.message).into(), ..refusal }
        }
        _ => {
            let message = format!("Invalid params: arguments of the {} {name}: {problem}", state.kind());
            Refusal::new(ErrorKind::InvalidParams, message)
        }
    };
    refusal.answer(out, Some(state.id.as_str()), Some(state.revision), state.label())
}
