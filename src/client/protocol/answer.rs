//! What an answer means for the request: a result, an error, and whether the request may be sent again.

use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::message::{Message, decode};
use crate::client::error::{ClientError, ProtocolError};
use crate::client::limits::ClientLimits;
use crate::client::transport::TransportError;

/// Bytes of a refusal's body that go into the error.
const EXCERPT_BYTES: usize = 300;

/// How sure it is that a failed request has not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It never left, or the server said that it did not run it.
    No,
    /// Nobody knows: only what changes nothing may be repeated.
    Perhaps,
    /// It was answered, and would be again with the same.
    Yes,
    /// The server knows no such session; the request did not run.
    NoSession,
}

/// A request that came to nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: ClientError,
    pub(crate) ran: Ran,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The status of HTTP, where an answer came.
    pub(crate) status: Option<u16>,
}

impl Failure {
    /// A failure that a repetition would not mend.
    pub(crate) fn last(error: ClientError) -> Self {
        Failure { error, ran: Ran::Yes, retry_after: None, status: None }
    }

    /// What the transport could not do.
    pub(crate) fn of_transport(target: &str, error: TransportError) -> Self {
        let ran = match &error {
            error if error.is_retryable() => Ran::No,
            TransportError::Closed { .. } => Ran::Perhaps,
            _ => Ran::Yes,
        };
        let error = ClientError::Transport { target: target.to_owned(), error };
        Failure { error, ran, retry_after: None, status: None }
    }

    /// Whether the request may be sent again as it is; `safe` when it changes nothing.
    pub(crate) fn may_repeat(&self, safe: bool) -> bool {
        self.ran == Ran::No || (safe && self.ran == Ran::Perhaps)
    }
}

/// The head of an answer, without its content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) www_authenticate: Option<String>,
    /// Whether the request named a session.
    pub(crate) in_session: bool,
}

/// What a body held: the response that was waited for, and whatever came along in a batch.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) response: Result<Box<RawValue>, Failure>,
    pub(crate) others: Vec<Message>,
}

/// Reads the body of an answer to the request `id`.
pub(crate) fn read_body(
    head: &Head,
    content_type: Option<&str>,
    body: &[u8],
    id: u64,
    limits: &ClientLimits,
) -> Found {
    let refused = |failure| Found { response: Err(failure), others: Vec::new() };
    let succeeded = (200..300).contains(&head.status);
    if body.len() > limits.max_message_bytes {
        let max = limits.max_message_bytes;
        return refused(Failure::last(super::super::limits::exceeded("max_message_bytes", max)));
    }
    let messages = match decode(body, limits.max_batch_messages) {
        Ok(messages) => messages,
        Err(_) if !succeeded => return refused(of_status(head, body)),
        Err(why) => {
            let what = content_type.map_or("the request".to_owned(), |kind| format!("the request ({kind})"));
            return refused(Failure::last(ClientError::malformed(what, why)));
        }
    };
    let (mut ours, others): (Vec<Message>, Vec<Message>) =
        messages.into_iter().partition(|message| is_response(message, id, !succeeded));
    match ours.pop() {
        Some(Message::Response { outcome, .. }) => Found { response: of_outcome(head, outcome), others },
        _ if !succeeded => refused(of_status(head, body)),
        _ => {
            let why = format!("it holds no response to request {id}");
            Found { response: Err(Failure::last(ClientError::malformed("the request", why))), others }
        }
    }
}

/// Whether a message answers the request `id`. An error may come without an id when the request was not understood.
fn is_response(message: &Message, id: u64, or_unnamed: bool) -> bool {
    match message {
        Message::Response { id: Some(given), .. } => *given == id,
        Message::Response { id: None, outcome: Err(_) } => or_unnamed,
        _ => false,
    }
}

/// What a response says under this head.
pub(crate) fn of_outcome(
    head: &Head,
    outcome: Result<Box<RawValue>, ProtocolError>,
) -> Result<Box<RawValue>, Failure> {
    let error = match outcome {
        Ok(result) => return Ok(result),
        Err(error) => error,
    };
    let data = error.data.as_ref();
    let retryable = data.and_then(|data| data.get("retryable")).and_then(Value::as_bool).unwrap_or(false);
    let after_ms = data.and_then(|data| data.get("retryAfterMs")).and_then(Value::as_u64);
    let ran = match head.status {
        404 if head.in_session && error.code != -32601 => Ran::NoSession,
        429 | 503 => Ran::No,
        _ if retryable => Ran::No,
        _ => Ran::Yes,
    };
    let retry_after = head.retry_after.or(after_ms.map(Duration::from_millis));
    Err(Failure { error: ClientError::Protocol(error), ran, retry_after, status: Some(head.status) })
}

/// What a status alone says.
pub(crate) fn of_status(head: &Head, body: &[u8]) -> Failure {
    let ran = match head.status {
        404 if head.in_session => Ran::NoSession,
        429 => Ran::No,
        503 if head.retry_after.is_some() => Ran::No,
        // Some gateways say it of a server that broke off in the middle of the request.
        502..=504 => Ran::Perhaps,
        _ => Ran::Yes,
    };
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]);
    // What a server sends may end up on a terminal.
    let body = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>();
    let error = ClientError::Http {
        status: head.status,
        body: body.trim().to_owned(),
        www_authenticate: head.www_authenticate.clone(),
    };
    Failure { error, ran, retry_after: head.retry_after, status: Some(head.status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Box<RawValue>, Failure> {
        let head = Head { status, in_session: true, ..Head::default() };
        read_body(&head, None, body.as_bytes(), 7, &ClientLimits::default()).response
    }

    #[test]
    fn the_response_with_our_id_is_found() {
        assert_eq!(read(200, r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#).unwrap().get(), r#"{"a":1}"#);
        let batch = r#"[{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":7,"result":{}}]"#;
        assert!(read(200, batch).is_ok());
        for other in [
            r#"{"jsonrpc":"2.0","id":8,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"}}"#,
            "garbage",
            "",
        ] {
            let failure = read(200, other).unwrap_err();
            assert!(matches!(failure.error, ClientError::Malformed { .. }), "{other}: {failure:?}");
            assert!(!failure.may_repeat(true));
        }
    }

    #[test]
    fn refusals_say_whether_the_request_ran() {
        let error =
            |data: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"error":{{"code":-1,"message":"x"{data}}}}}"#);
        let ran = |status, body: &str| read(status, body).unwrap_err().ran;
        assert_eq!(ran(200, &error("")), Ran::Yes);
        assert_eq!(ran(503, &error("")), Ran::No);
        assert_eq!(ran(429, "slow down"), Ran::No);
        assert_eq!(ran(503, "upstream connect error or disconnect/reset before headers"), Ran::Perhaps);
        assert_eq!(ran(502, "bad gateway"), Ran::Perhaps);
        assert_eq!(ran(500, ""), Ran::Yes);
        assert_eq!(ran(404, "no"), Ran::NoSession);
        assert_eq!(ran(404, &error("")), Ran::NoSession);
        assert_eq!(ran(404, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":""}}"#), Ran::Yes);
        let busy = read(200, &error(r#","data":{"retryable":true,"retryAfterMs":1500}"#)).unwrap_err();
        assert_eq!((busy.ran, busy.retry_after), (Ran::No, Some(Duration::from_millis(1_500))));
    }

    #[test]
    fn an_error_without_an_id_belongs_to_the_request_that_was_refused() {
        let failure = read(400, r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#).unwrap_err();
        assert!(matches!(failure.error, ClientError::Protocol(error) if error.code == -32700));
    }

    #[test]
    fn bodies_are_bounded_and_excerpts_are_safe_to_print() {
        let limits = ClientLimits { max_message_bytes: 8, ..ClientLimits::default() };
        let found = read_body(&Head { status: 200, ..Head::default() }, None, b"123456789", 1, &limits);
        assert!(matches!(
            found.response.unwrap_err().error,
            ClientError::Limit { limit: "max_message_bytes", .. }
        ));
        let failure = read(500, &format!("\u{1b}[31m{}", "x".repeat(1_000))).unwrap_err();
        let ClientError::Http { body, .. } = failure.error else { panic!("{failure:?}") };
        assert!(body.len() <= EXCERPT_BYTES && !body.contains('\u{1b}'));
    }

    #[test]
    fn what_broke_on_the_way_may_be_repeated_where_nothing_changes() {
        let of = |error| Failure::of_transport("t", error);
        assert!(of(TransportError::Connect("x".into())).may_repeat(false));
        let closed = of(TransportError::Closed { before_answer: true });
        assert!(closed.may_repeat(true) && !closed.may_repeat(false));
        assert!(!of(TransportError::Malformed("x".into())).may_repeat(true));
    }
}
