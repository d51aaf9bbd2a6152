//! `tools/call` and `tools/list`, as far as both eras share them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::mcp::ask::asking::Asking;
use crate::mcp::ask::round;
use crate::mcp::call::context::{CallState, Context, Target};
use crate::mcp::call::outcome;
use crate::mcp::call::running::Call;
use crate::mcp::call::signals::Signals;
use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal, excerpt};
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::envelope::is_string_or_integer;
use crate::mcp::message::era::Revision;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::Transport;
use crate::mcp::message::level::LogLevel;
use crate::mcp::message::scan::text;
use crate::mcp::message::small_text::SmallText;
use crate::mcp::offer::handler::Started;
use crate::mcp::offer::pages::Pages;
use crate::mcp::offer::reply::Reply;
use crate::mcp::schema::param_headers;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::session::entry::Session;

/// What the era knows about a call besides the request.
pub(crate) struct CallMeta {
    pub(crate) revision: Revision,
    pub(crate) capabilities: ClientCapabilities,
    pub(crate) log_level: Option<LogLevel>,
    /// Entered already; the call leaves it.
    pub(crate) session: Option<Arc<Session>>,
    /// What earlier rounds of the call brought (2026-07-28).
    pub(crate) asking: Asking,
}

impl Dispatcher {
    /// Starts the tool that the request names.
    pub(crate) fn call_tool(
        &self,
        request: &Request<'_>,
        id: &str,
        meta: CallMeta,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let entered = Entered(meta.session.clone());
        let index = find_tool(request)?;
        let arguments = arguments(request)?;
        let tool = request.snapshot.catalog().tool(index);
        if !tool.header_params.is_empty()
            && meta.revision.is_modern()
            && request.head.transport == Transport::Http
        {
            param_headers::check(&tool.header_params, request.head.params, arguments)
                .map_err(|sentence| Refusal::new(ErrorKind::HeaderMismatch, sentence))?;
        }
        if request.at.full {
            let message = "The server runs as many handlers as max_inflight_requests allows; try again later";
            return Err(Refusal::new(ErrorKind::InflightFull, message));
        }
        let state = Arc::new(call_state(request, id, Target::Tool(index), meta, tool.timeout));
        if tool.single_use {
            round::use_once(&state)?;
        }
        let context = Context { state: state.clone() };
        let start = AssertUnwindSafe(|| tool.handler.start(arguments, &tool.input, context));
        let started = catch_unwind(start).unwrap_or_else(|panic| {
            let error = outcome::panicked(&tool.name, &*panic);
            Started::Running(Box::pin(std::future::ready(Err(error))))
        });
        match started {
            Started::Running(future) => {
                entered.keep();
                Ok(Outcome::Call(Call::new(state, future)))
            }
            Started::Invalid(problem) => Ok(Outcome::Answer(invalid_arguments(&state, &problem, out))),
            Started::Full => {
                if tool.single_use {
                    round::unuse(&state);
                }
                let message = format!(
                    "The tool {} cannot start now: every thread for blocking tools is taken",
                    tool.name
                );
                let refusal = Refusal::new(ErrorKind::BlockingFull, message);
                let label = state.label();
                Ok(Outcome::Answer(refusal.answer(out, Some(id), Some(state.revision), label)))
            }
        }
    }
}

fn find_tool(request: &Request<'_>) -> Result<u32, Refusal> {
    let Some(name) = request.message.params.name.and_then(text) else {
        let message = "Invalid params: params.name is required and must be a string";
        return Err(Refusal::new(ErrorKind::InvalidParams, message));
    };
    request
        .snapshot
        .catalog()
        .find_tool(&name)
        .ok_or_else(|| Refusal::new(ErrorKind::UnknownTool, format!("Unknown tool: {}", excerpt(&name))))
}

pub(crate) fn call_state(
    request: &Request<'_>,
    id: &str,
    target: Target,
    meta: CallMeta,
    timeout: Duration,
) -> CallState {
    let at = request.at;
    let traceparent = at.traceparent.and_then(|value| std::str::from_utf8(value).ok());
    CallState {
        snapshot: request.snapshot.clone(),
        target,
        core: at.core,
        // A deadline beyond the clock's range is none that anyone lives to see.
        timeout,
        deadline: at.now.checked_add(timeout).unwrap_or(at.now + Duration::from_secs(86_400)),
        extended_ms: AtomicU64::new(0),
        revision: meta.revision,
        id: SmallText::from(id),
        principal: SmallText::from(at.principal),
        progress_token: meta_value(request.message.params.meta.progress_token).map(SmallText::from),
        log_level: meta.log_level,
        capabilities: meta.capabilities,
        traceparent: traceparent.map(Box::from),
        session: meta.session,
        asking: meta.asking,
        signals: Signals::default(),
    }
}

/// Leaves the session at the end of its scope, unless a call took that over.
struct Entered(Option<Arc<Session>>);

impl Entered {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.leave(None);
        }
    }
}

/// Invalid arguments are a result that the model sees, so that it can call again with better ones.
fn invalid_arguments(state: &CallState, problem: &str, out: &mut Vec<u8>) -> Answer {
    let text = format!("Invalid arguments for the tool {}: {problem}.", state.name());
    outcome::write_reply(out, state, &Reply::text(text).failed());
    let kind = ErrorKind::InvalidArguments;
    let status = kind.status(Some(state.revision));
    Answer::with_body(status, Label { error: Some(kind), ..state.label() })
}

/// The arguments as JSON text; absent means none.
fn arguments<'a>(request: &Request<'a>) -> Result<&'a str, Refusal> {
    match request.message.params.arguments {
        None | Some("null") => Ok("{}"),
        // Typed arguments could be read from an array too, so the form is checked here.
        Some(raw) if raw.starts_with('{') => Ok(raw),
        Some(_) => {
            Err(Refusal::new(ErrorKind::InvalidParams, "Invalid params: params.arguments must be an object"))
        }
    }
}

pub(crate) fn check_progress_token(request: &Request<'_>) -> Result<(), Refusal> {
    match meta_value(request.message.params.meta.progress_token) {
        Some(token) if !is_string_or_integer(token) => {
            let message = "Invalid params: params._meta.progressToken must be a string or an integer";
            Err(Refusal::new(ErrorKind::InvalidParams, message))
        }
        _ => Ok(()),
    }
}

/// A member of `_meta`; null means that it is left out.
pub(crate) fn meta_value(raw: Option<&str>) -> Option<&str> {
    raw.filter(|raw| *raw != "null")
}

/// The page that the request's cursor leads to.
pub(crate) fn page<'p>(pages: &'p Pages, request: &Request<'_>) -> Result<&'p [u8], Refusal> {
    let cursor = match request.message.params.cursor {
        None | Some("null") => None,
        Some(raw) => Some(text(raw).ok_or_else(bad_cursor)?),
    };
    pages.result(cursor.as_deref()).ok_or_else(bad_cursor)
}

fn bad_cursor() -> Refusal {
    let message = "Invalid params: params.cursor was not given out by this server; start again without one";
    Refusal::new(ErrorKind::InvalidParams, message)
}
