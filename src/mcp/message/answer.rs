//! What comes out of the dispatcher, and how error bodies are written.

use std::borrow::Cow;

use crate::limits::Limits;
use crate::mcp::call::batch::Batch;
use crate::mcp::call::running::Call;
use crate::mcp::listen::feed::Feed;
use crate::mcp::message::era::{Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::message::method::MethodKind;
use crate::mcp::session::entry::SessionId;

/// What becomes of a message.
#[derive(Debug)]
pub enum Outcome {
    /// It is answered.
    Answer(Answer),
    /// A handler runs; its call is to be polled.
    Call(Call),
    /// Several messages in one array; their calls are to be polled.
    Batch(Batch),
    /// A stream of events; it is to be polled for as long as its client reads.
    Feed(Feed),
}

/// The answer to a message; its JSON, if any, was appended to the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status. On a stream that has begun it is too late for it, and only the body counts.
    pub status: u16,
    /// Whether a body was written.
    pub has_body: bool,
    /// The value for `Mcp-Session-Id`, on the answer to `initialize` only.
    pub session_id: Option<SessionId>,
    /// The value for `Allow`.
    pub allow: Option<&'static str>,
    /// The value for `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// What to count.
    pub label: Label,
}

/// What a request was and how it went, for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The method.
    pub method: MethodKind,
    /// The tool's index, in the order of `Dispatcher::tools`.
    pub tool: Option<u32>,
    /// How it failed, if it did.
    pub error: Option<ErrorKind>,
    /// The era.
    pub era: Era,
}

impl Label {
    pub(crate) fn new(method: MethodKind, era: Era) -> Label {
        Label { method, tool: None, error: None, era }
    }
}

impl Answer {
    pub(crate) fn with_body(status: u16, label: Label) -> Answer {
        Answer { status, has_body: true, session_id: None, allow: None, retry_after_s: None, label }
    }

    pub(crate) fn empty(status: u16, label: Label) -> Answer {
        Answer { has_body: false, ..Answer::with_body(status, label) }
    }
}

/// A message that is refused with a JSON-RPC error.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) message: Cow<'static, str>,
    /// `error.data` as JSON text.
    pub(crate) data: Option<Cow<'static, str>>,
}

impl Refusal {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { kind, message: message.into(), data: None }
    }

    pub(crate) fn with_data(mut self, data: impl Into<Cow<'static, str>>) -> Refusal {
        self.data = Some(data.into());
        self
    }

    /// There is no resource with this URI.
    pub(crate) fn no_resource(uri: &str) -> Refusal {
        let mut data = br#"{"uri":"#.to_vec();
        json::string(&mut data, uri);
        data.push(b'}');
        let data = String::from_utf8(data).expect("invariant: a JSON string is UTF-8");
        Refusal::new(ErrorKind::ResourceNotFound, format!("Resource not found: {}", excerpt(uri)))
            .with_data(data)
    }

    /// Refuses URIs beyond the limit.
    pub(crate) fn check_uri_length(uri: &str, limits: &Limits) -> Result<(), Refusal> {
        let max = limits.max_uri_bytes;
        if uri.len() as u64 <= max {
            return Ok(());
        }
        let message = format!("Invalid params: the URI has {} bytes; max_uri_bytes is {max}", uri.len());
        let data = format!(r#"{{"limit":"max_uri_bytes","max":{max}}}"#);
        Err(Refusal::new(ErrorKind::UriTooLong, message).with_data(data))
    }

    /// Writes the error and says how to send it. `id` is the request's id as JSON text, absent when it is not known:
    /// MCP has no null ids.
    pub(crate) fn answer(
        &self,
        out: &mut Vec<u8>,
        id: Option<&str>,
        revision: Option<Revision>,
        label: Label,
    ) -> Answer {
        let advice = r#"{"retryable":true,"retryAfterMs":1000}"#;
        let retryable = self.kind.info().retryable;
        let data = self.data.as_deref().or(retryable.then_some(advice));
        write_error(out, id, self.kind.code(revision), &self.message, data);
        let label = Label { error: Some(self.kind), ..label };
        Answer {
            retry_after_s: retryable.then_some(1),
            ..Answer::with_body(self.kind.status(revision), label)
        }
    }
}

/// Appends a JSON-RPC error response.
pub(crate) fn write_error(out: &mut Vec<u8>, id: Option<&str>, code: i32, message: &str, data: Option<&str>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0""#);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.as_bytes());
    }
    out.extend_from_slice(br#","error":{"code":"#);
    out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
    out.extend_from_slice(br#","message":"#);
    json::string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(br#","data":"#);
        json::raw(out, data);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a JSON-RPC response around a result that is already JSON on one line.
pub(crate) fn write_result(out: &mut Vec<u8>, id: &str, result: &[u8]) {
    out.reserve(result.len() + id.len() + 48);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.push(b'}');
}

/// A text of the client's for use in an error sentence: cut so that the answer stays short.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    const MOST: usize = 128;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_left_out() {
        let mut out = Vec::new();
        write_error(&mut out, None, -32700, "a\nb", Some("{\n}"));
        assert_eq!(out, br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"a\nb","data":{ }}}"#);
        out.clear();
        write_error(&mut out, Some("\"x\""), -32600, "m", None);
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":"x","error":{"code":-32600,"message":"m"}}"#);
    }

    #[test]
    fn retryable_refusals_say_so() {
        let mut out = Vec::new();
        let label = Label::new(MethodKind::ToolsCall, Era::Modern);
        let refusal = Refusal::new(ErrorKind::BlockingFull, "busy");
        let answer = refusal.answer(&mut out, Some("1"), Some(Revision::V2026_07_28), label);
        assert_eq!((answer.status, answer.retry_after_s), (503, Some(1)));
        assert!(String::from_utf8(out).unwrap().contains(r#""retryable":true"#));
    }

    #[test]
    fn excerpts_are_short() {
        assert_eq!(excerpt("ab"), "ab");
        assert_eq!(excerpt(&"ü".repeat(500)).chars().count(), 129);
    }
}
