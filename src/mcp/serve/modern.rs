//! 2026-07-28: each request is checked and served by itself.

use crate::mcp::ask::asking::Asking;
use crate::mcp::ask::round;
use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal, excerpt, write_result};
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::envelope::Kind;
use crate::mcp::message::era::{Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::Transport;
use crate::mcp::message::headers;
use crate::mcp::message::level::{BAD_LEVEL, LogLevel};
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::text;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::methods::{check_offered, is_call, is_list, method_not_found};
use crate::mcp::serve::tools_call::{CallMeta, check_progress_token, meta_value};

const REVISION: Revision = Revision::V2026_07_28;

impl Dispatcher {
    pub(crate) fn take_modern(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Outcome {
        let label = Label::new(request.kind, Era::Modern);
        let Some(id) = request.id else {
            // The revision gives no meaning to any notification over HTTP, and none is refused.
            return Outcome::Answer(Answer::empty(202, label));
        };
        match self.serve_modern(request, id, label, out) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Answer(refusal.answer(out, Some(id), Some(REVISION), label)),
        }
    }

    fn serve_modern(
        &self,
        request: &Request<'_>,
        id: &str,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let capabilities = check(request)?;
        let log_level = log_level(request)?;
        check_progress_token(request)?;
        match request.kind {
            kind if is_call(kind) => {
                // Nobody can be asked while a text is completed.
                let asking = match kind {
                    MethodKind::CompletionComplete => Asking::default(),
                    _ => round::begin(request, &capabilities)?,
                };
                let meta = CallMeta { revision: REVISION, capabilities, log_level, session: None, asking };
                self.start_call(request, id, meta, out)
            }
            kind if is_list(kind) => self.list(request, id, REVISION, label, out),
            MethodKind::SubscriptionsListen => self.listen(request, id),
            _ => {
                write_result(out, id, &request.snapshot.catalog().discover);
                Ok(Outcome::Answer(Answer::with_body(200, label)))
            }
        }
    }
}

/// The checks between parsing and those of the method itself, in the order of the specification.
pub(crate) fn check(request: &Request<'_>) -> Result<ClientCapabilities, Refusal> {
    let (version, capabilities) = check_meta(request)?;
    if request.head.transport == Transport::Http {
        headers::check_mirrored(request.head, request.message, request.kind, request.method, &version)
            .map_err(|sentence| Refusal::new(ErrorKind::HeaderMismatch, sentence))?;
    }
    if version != REVISION.as_str() {
        return Err(unsupported_version(&version));
    }
    let known = is_call(request.kind)
        || is_list(request.kind)
        || matches!(request.kind, MethodKind::ServerDiscover | MethodKind::SubscriptionsListen);
    if !known {
        return Err(method_not_found(request));
    }
    check_offered(request)?;
    Ok(capabilities)
}

/// `_meta` with its two required members.
fn check_meta<'a>(request: &Request<'a>) -> Result<(std::borrow::Cow<'a, str>, ClientCapabilities), Refusal> {
    let invalid =
        |sentence: String| Refusal::new(ErrorKind::InvalidMeta, format!("Invalid params: {sentence}"));
    let params = &request.message.params;
    let meta = &params.meta;
    if params.kind != Kind::Object || meta.kind != Kind::Object {
        return Err(invalid(
            "params._meta with the protocol version and the client capabilities is required".into(),
        ));
    }
    if let Some(key) = params.duplicate.or(meta.duplicate) {
        return Err(invalid(format!("the key {key} occurs twice")));
    }
    let version = meta.protocol_version.and_then(text).ok_or_else(|| {
        invalid(
            "params._meta[\"io.modelcontextprotocol/protocolVersion\"] is required and must be a string"
                .into(),
        )
    })?;
    let name = "params._meta[\"io.modelcontextprotocol/clientCapabilities\"]";
    let raw = meta.client_capabilities.ok_or_else(|| invalid(format!("{name} is required")))?;
    let capabilities =
        ClientCapabilities::parse(raw).map_err(|problem| invalid(format!("{name} {problem}")))?;
    Ok((version, capabilities))
}

fn unsupported_version(version: &str) -> Refusal {
    // A revision with sessions is served, but not to a request like this: naming it again would lead in circles.
    let legacy = Revision::parse(version.as_bytes()).is_some();
    let supported = Revision::ALL.iter().filter(|revision| !legacy || revision.is_modern());
    let supported: Vec<_> = supported.map(|revision| revision.as_str()).collect();
    let shown = excerpt(version);
    let data = serde_json::json!({"supported": supported, "requested": shown}).to_string();
    let message = match legacy {
        true => format!("Unsupported protocol version: {shown} is served after initialize only"),
        false => format!("Unsupported protocol version: {shown}"),
    };
    Refusal::new(ErrorKind::UnsupportedVersion, message).with_data(data)
}

fn log_level(request: &Request<'_>) -> Result<Option<LogLevel>, Refusal> {
    let Some(raw) = meta_value(request.message.params.meta.log_level) else { return Ok(None) };
    match text(raw).as_deref().and_then(LogLevel::parse) {
        Some(level) => Ok(Some(level)),
        None => Err(Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {BAD_LEVEL}"))),
    }
}
