//! From the bytes of a request to an answer or to a running tool: the checks that come before the era is known.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::mcp::call::outcome::panicked;
use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal};
use crate::mcp::message::envelope::{self, Kind, Message};
use crate::mcp::message::era::{self, Era};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{At, RequestHead, Transport};
use crate::mcp::message::headers;
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::{ScanError, text};
use crate::mcp::offer::registry::{Registry, RegistryError};
use crate::mcp::offer::registry_handle::RegistryHandle;
use crate::mcp::serve::options::McpOptions;
use crate::mcp::serve::snapshot::{Shared, Snapshot};
use crate::mcp::session::table::SessionTotals;

/// Answers MCP messages: bytes in, bytes out, on whatever transport and core.
///
/// A clone serves the same tools and the same sessions. Give each core a clone of its own: a call holds on to the
/// clone that started it, and that count should not travel between cores.
pub struct Dispatcher {
    pub(crate) shared: Arc<Shared>,
    /// What this core serves; replaced when the catalog has changed. No other core takes this lock.
    snapshot: Mutex<Arc<Snapshot>>,
}

/// One message, with what is known about it so far.
pub(crate) struct Request<'a> {
    /// What is on offer, the same for all of the request.
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) message: &'a Message<'a>,
    pub(crate) at: &'a At<'a>,
    /// The request id as JSON text; `None` for a notification.
    pub(crate) id: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) kind: MethodKind,
}

/// What a body is.
pub(crate) enum Form<'a> {
    Message,
    /// A JSON array; its text.
    Batch(&'a str),
}

impl Dispatcher {
    /// Builds a dispatcher.
    ///
    /// # Errors
    /// Something on offer that is not allowed as it is (a name, schema, URI, icon …), registered twice, or one too many,
    /// a malformed glob, or a blocking tool without a pool: the error names it and says what is allowed.
    pub fn new(registry: Registry, options: McpOptions) -> Result<Dispatcher, RegistryError> {
        let shared = Arc::new(Shared::build(registry, options)?);
        Ok(Dispatcher::over(shared))
    }

    /// A handle that changes what is on offer.
    pub fn registry_handle(&self) -> RegistryHandle {
        RegistryHandle::running(&self.shared)
    }

    /// How many listeners have subscribed to resources, at any moment.
    pub(crate) fn resource_subscribers(&self) -> Arc<AtomicUsize> {
        self.shared.hub.subscribers().clone()
    }

    /// Lets a handle that was given out earlier change what this dispatcher offers.
    pub(crate) fn attach(&self, handle: &RegistryHandle) -> Result<(), RegistryError> {
        handle.attach(&self.shared)
    }

    fn over(shared: Arc<Shared>) -> Dispatcher {
        let snapshot = Mutex::new(Arc::new(Snapshot::new(shared.clone())));
        Dispatcher { shared, snapshot }
    }

    /// What is on offer now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let mut snapshot = crate::mcp::lock(&self.snapshot);
        if snapshot.is_current() {
            return snapshot.clone();
        }
        let new = Arc::new(Snapshot::new(self.shared.clone()));
        let old = std::mem::replace(&mut *snapshot, new.clone());
        drop(snapshot);
        // With the old catalog goes what was removed from it: the author's, whose destructors may panic.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(old))) {
            panicked("(removed)", &*panic);
        }
        new
    }

    /// Takes the body of a POST. An answer's JSON is appended to `out`.
    pub fn post(&self, head: &RequestHead<'_>, body: &[u8], at: &At<'_>, out: &mut Vec<u8>) -> Outcome {
        if let Err(refusal) = check_media_types(head) {
            return refuse_early(out, &refusal, None);
        }
        let mut message = Message::default();
        match self.parse(body, &mut message) {
            Ok(Form::Message) => self.take(head, &message, at, out),
            Ok(Form::Batch(text)) => self.take_batch(head, text, at, &|_| at.access, out),
            Err(refusal) => refuse_early(out, &refusal, None),
        }
    }

    /// Takes a DELETE: the end of a session.
    pub fn delete(&self, head: &RequestHead<'_>, at: &At<'_>, out: &mut Vec<u8>) -> Outcome {
        if head.protocol_version.is_some_and(era::is_modern_name) {
            let message = "There are no sessions in this protocol version; send requests with POST";
            return method_not_allowed(out, MethodKind::Delete, Era::Modern, message, "POST");
        }
        Outcome::Answer(self.delete_session(head, at, out))
    }

    /// Ends the sessions and forgets the streams whose time is over; says how many sessions. Call it every second or so.
    pub fn sweep(&self, now: Instant) -> usize {
        let ended = self.shared.sessions.sweep(now);
        self.shared.replay.sweep(now);
        ended
    }

    /// Lets go of what was on offer before the last change, which this handle else keeps until its next request; call it
    /// every few seconds.
    pub fn refresh(&self) {
        drop(self.snapshot());
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.len()
    }

    /// What became of the sessions so far.
    pub fn session_totals(&self) -> SessionTotals {
        self.shared.sessions.totals()
    }

    /// The names of the tools that were on offer at the start; a label's `tool` is an index into them.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &str> {
        self.shared.tool_labels.iter().map(String::as_str)
    }

    /// What the tool of this name does, as it is listed; `None` where there is none on offer.
    pub(crate) fn tool_description(&self, name: &str) -> Option<String> {
        let snapshot = self.snapshot();
        let catalog = snapshot.catalog();
        let index = catalog.shelves().tools.find(name)?;
        Some(catalog.tool(index).description().to_owned())
    }

    pub(crate) fn parse<'a>(&self, body: &'a [u8], message: &mut Message<'a>) -> Result<Form<'a>, Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            Refusal::new(ErrorKind::Parse, format!("Parse error: the body is not UTF-8 from byte {at} on"))
        })?;
        let max = self.shared.max_depth;
        message.parse(text, max).map_err(|error| match error {
            ScanError::Syntax(at) => {
                let sentence =
                    format!("Parse error: the body is not one JSON value; it goes wrong at byte {at}");
                Refusal::new(ErrorKind::Parse, sentence)
            }
            ScanError::Depth => {
                let sentence = format!("Arrays and objects nest deeper than max_json_depth, which is {max}");
                let data = format!(r#"{{"limit":"max_json_depth","max":{max}}}"#);
                Refusal::new(ErrorKind::TooDeep, sentence).with_data(data)
            }
        })?;
        if message.kind == Kind::Object {
            return Ok(Form::Message);
        }
        match text.trim_ascii_start().starts_with('[') {
            true => Ok(Form::Batch(text)),
            false => Err(Refusal::new(ErrorKind::InvalidRequest, "A JSON-RPC message is a JSON object")),
        }
    }

    /// Sorts a message by its form and era.
    fn take(&self, head: &RequestHead<'_>, message: &Message<'_>, at: &At<'_>, out: &mut Vec<u8>) -> Outcome {
        let method = match check_envelope(message) {
            Ok(Some(method)) => method,
            Ok(None) => return Outcome::Answer(self.take_response(head, message, at, out)),
            Err(refusal) => return refuse_early(out, &refusal, known_id(message)),
        };
        let kind = MethodKind::parse(&method);
        let snapshot = &self.snapshot();
        let request = Request { snapshot, head, message, at, id: message.id, method: &method, kind };
        match era::select(head, message, kind) {
            Era::Modern => self.take_modern(&request, out),
            _ => self.take_legacy(&request, out),
        }
    }

    /// A client's response: the older revisions have them, 2026-07-28 does not.
    fn take_response(
        &self,
        head: &RequestHead<'_>,
        message: &Message<'_>,
        at: &At<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        if head.protocol_version.is_some_and(era::is_modern_name) {
            let message = "Clients send no JSON-RPC responses in this protocol version";
            let label = Label::new(MethodKind::Response, Era::Modern);
            return Refusal::new(ErrorKind::UnexpectedResponse, message).answer(out, None, None, label);
        }
        self.take_legacy_response(head, message, at, out)
    }
}

impl Clone for Dispatcher {
    /// A handle for another core.
    fn clone(&self) -> Self {
        Dispatcher::over(self.shared.clone())
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("tools", &self.tools().len())
            .field("sessions", &self.sessions())
            .finish_non_exhaustive()
    }
}

fn check_media_types(head: &RequestHead<'_>) -> Result<(), Refusal> {
    if head.transport != Transport::Http {
        return Ok(());
    }
    if !head.content_type.is_some_and(headers::is_json) {
        let message = "Content-Type must be application/json, in UTF-8";
        return Err(Refusal::new(ErrorKind::UnsupportedMediaType, message));
    }
    if !head.accept.is_some_and(headers::accepts_both) {
        let message = "Accept must list both application/json and text/event-stream";
        return Err(Refusal::new(ErrorKind::NotAcceptable, message));
    }
    Ok(())
}

/// The method of a request or notification, `None` for a response.
pub(crate) fn check_envelope<'a>(message: &Message<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let invalid = |sentence: Cow<'static, str>| Err(Refusal::new(ErrorKind::InvalidRequest, sentence));
    if let Some(key) = message.duplicate {
        return invalid(format!("The key {key} occurs twice").into());
    }
    if message.jsonrpc != Some(r#""2.0""#) && message.jsonrpc.and_then(text).as_deref() != Some("2.0") {
        return invalid("jsonrpc must be \"2.0\"".into());
    }
    if message.id.is_some_and(|id| !envelope::is_string_or_integer(id)) {
        return invalid("id must be a string or an integer of at most 1024 bytes".into());
    }
    let answers = message.result.is_some() || message.error.is_some();
    match message.method {
        None if answers => Ok(None),
        None => invalid("method is required".into()),
        Some(_) if answers => invalid("A message has a method or a result or error, not both".into()),
        Some(method) => match text(method) {
            Some(method) => Ok(Some(method)),
            None => invalid("method must be a string".into()),
        },
    }
}

/// The id to answer with, where the message as a whole is refused.
pub(crate) fn known_id<'a>(message: &Message<'a>) -> Option<&'a str> {
    let usable = message.duplicate != Some("id") && message.method.is_some();
    message.id.filter(|id| usable && envelope::is_string_or_integer(id))
}

fn refuse_early(out: &mut Vec<u8>, refusal: &Refusal, id: Option<&str>) -> Outcome {
    Outcome::Answer(refusal.answer(out, id, None, Label::new(MethodKind::Unknown, Era::Unknown)))
}

pub(crate) fn method_not_allowed(
    out: &mut Vec<u8>,
    method: MethodKind,
    era: Era,
    message: &'static str,
    allow: &'static str,
) -> Outcome {
    let refusal = Refusal::new(ErrorKind::MethodNotAllowed, message);
    let answer = refusal.answer(out, None, None, Label::new(method, era));
    Outcome::Answer(Answer { allow: Some(allow), ..answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Context;

    #[test]
    fn what_cores_share_may_be_shared() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<Dispatcher>();
        shared::<Context>();
        shared::<McpOptions>();
    }
}
