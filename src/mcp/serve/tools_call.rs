//! `tools/call`, and what a call of any kind knows about its request.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::mcp::ask::asking::Asking;
use crate::mcp::call::context::{CallState, Target};
use crate::mcp::call::signals::Signals;
use crate::mcp::message::answer::{Outcome, Refusal, excerpt};
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::envelope::{TOKEN_KEY, is_string_or_integer};
use crate::mcp::message::era::Revision;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{Access, Transport};
use crate::mcp::message::level::LogLevel;
use crate::mcp::message::scan::text;
use crate::mcp::message::small_text::SmallText;
use crate::mcp::schema::param_headers;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::session::entry::Session;

/// What the era knows about a call besides the request.
pub(crate) struct CallMeta {
    pub(crate) revision: Revision,
    pub(crate) capabilities: ClientCapabilities,
    pub(crate) log_level: Option<LogLevel>,
    /// In use by the request; a call that starts uses it on its own.
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
        let index = find_tool(request)?;
        let arguments = arguments(request)?;
        let tool = request.snapshot.catalog().tool(index);
        if request.at.access != Access::Full && !tool.read_only {
            return Err(forbidden(&tool.name));
        }
        if !tool.header_params.is_empty()
            && meta.revision.is_modern()
            && request.head.transport == Transport::Http
        {
            param_headers::check(&tool.header_params, request.head.params, arguments)
                .map_err(|sentence| Refusal::new(ErrorKind::HeaderMismatch, sentence))?;
        }
        let target = (Target::Tool(index), Some(tool.timeout));
        let start = |context| tool.handler.start(arguments, &tool.input, context);
        self.begin(request, id, target, meta, start, out)
    }
}

fn forbidden(tool: &str) -> Refusal {
    let message = format!(
        "The tool {tool} may change something, and you may only read: send the shared token in \
         params._meta[\"{TOKEN_KEY}\"], or have your peer id allowed (p2p_allow_peers) or peers let in (p2p_open)"
    );
    Refusal::new(ErrorKind::Forbidden, message)
}

fn find_tool(request: &Request<'_>) -> Result<u32, Refusal> {
    let Some(name) = request.message.params.name.and_then(text) else {
        let message = "Invalid params: params.name is required and must be a string";
        return Err(Refusal::new(ErrorKind::InvalidParams, message));
    };
    request
        .snapshot
        .catalog()
        .shelves()
        .tools
        .find(&name)
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
        uri: match target {
            Target::Template(_) => request.message.params.uri.and_then(text).map(|uri| uri.into()),
            _ => None,
        },
        core: at.core,
        // A deadline beyond the clock's range is none that anyone lives to see.
        timeout,
        deadline: at.now.checked_add(timeout).unwrap_or(at.now + Duration::from_secs(86_400)),
        extended_ms: AtomicU64::new(0),
        revision: meta.revision,
        id: SmallText::from(id),
        principal: SmallText::from(at.principal),
        full_access: at.access == Access::Full,
        progress_token: meta_value(request.message.params.meta.progress_token).map(SmallText::from),
        log_level: meta.log_level,
        capabilities: meta.capabilities,
        traceparent: traceparent.map(Box::from),
        session: meta.session,
        asking: meta.asking,
        signals: Signals::default(),
    }
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
