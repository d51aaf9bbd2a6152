//! What must be known of a message to bring it to whoever it is for: its kind, its id, and the request it belongs to.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The id of a request, as canonical JSON text.
pub(super) type Id = String;

/// One message, as far as its way depends on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan<'a> {
    /// Something to be answered.
    Request { id: Id, method: Cow<'a, str> },
    /// Something that needs no answer.
    Notification(Note<'a>),
    /// The answer to a request, and its result.
    Response { id: Id, result: Option<&'a str> },
    /// An error that names no request: what came before it could not be read. The text says what the sender says.
    Unnamed(String),
}

/// A notification, and what it is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Note<'a> {
    pub(super) method: Cow<'a, str>,
    /// The request that is given up.
    pub(super) cancels: Option<Id>,
    /// The request whose progress, or whose subscription, it is about.
    pub(super) about: Option<Id>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    progress_token: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/subscriptionId")]
    subscription: Option<&'a RawValue>,
}

/// Reads as much of a message as its way depends on. Whether it is valid is for whoever gets it.
///
/// # Errors
/// A sentence, for what cannot be brought anywhere.
pub(super) fn scan(text: &[u8]) -> Result<Scan<'_>, String> {
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err("a message is a JSON array; each must be one JSON-RPC object".to_owned());
    }
    let message: Message<'_> =
        serde_json::from_slice(text).map_err(|error| format!("a message is no JSON-RPC object: {error}"))?;
    match (message.method, message.id) {
        (Some(method), Some(id)) => Ok(Scan::Request { id: key(id)?, method }),
        (Some(method), None) => Ok(Scan::Notification(note(method, message.params))),
        (None, Some(id)) => Ok(Scan::Response { id: key(id)?, result: message.result.map(RawValue::get) }),
        (None, None) => match message.error {
            Some(error) => Ok(Scan::Unnamed(words(error))),
            None => Err("a message is neither a request, nor a notification, nor a response".to_owned()),
        },
    }
}

/// What a notification is about. Parameters that cannot be read are about nothing.
fn note<'a>(method: Cow<'a, str>, params: Option<&RawValue>) -> Note<'a> {
    let params: Params<'_> =
        params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    let meta: Meta<'_> =
        params.meta.and_then(|meta| serde_json::from_str(meta.get()).ok()).unwrap_or_default();
    let id = |raw: Option<&RawValue>| raw.and_then(|raw| key(raw).ok());
    let cancels = id(params.request_id).filter(|_| method == "notifications/cancelled");
    let progress = id(params.progress_token).filter(|_| method == "notifications/progress");
    Note { cancels, about: progress.or_else(|| id(meta.subscription)), method }
}

/// An id as text that is the same however it was written.
fn key(id: &RawValue) -> Result<Id, String> {
    let text = id.get();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    match serde_json::from_str::<Value>(text) {
        Ok(id @ (Value::String(_) | Value::Number(_))) => Ok(id.to_string()),
        _ => Err("the `id` of a message is neither a string nor a number".to_owned()),
    }
}

/// What an error says, for people; it comes from outside.
fn words(error: &RawValue) -> String {
    const MAX_LETTERS: usize = 200;
    let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let visible = |letter: char| if letter.is_control() { ' ' } else { letter };
    let message: String = message.chars().take(MAX_LETTERS).map(visible).collect();
    format!("{message} (code {code})")
}

/// What the answer to `initialize` says of a peer of 2024-11-05: how many bytes of one message it reads. `None` for all
/// other peers.
pub(super) fn old_peer(result: &str) -> Option<usize> {
    #[derive(Deserialize)]
    struct Limits {
        max_frame_bytes: usize,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized {
        protocol_version: String,
        limits: Option<Value>,
    }
    /// What those peers read when they do not say.
    const OLD_FRAME_BYTES: usize = 1 << 20;
    let answer: Initialized = serde_json::from_str(result).ok()?;
    if answer.protocol_version != "2024-11-05" {
        return None;
    }
    let limits = answer.limits.and_then(|limits| serde_json::from_value::<Limits>(limits).ok());
    Some(limits.map_or(OLD_FRAME_BYTES, |limits| limits.max_frame_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(text: &str) -> (Option<Id>, Option<Id>) {
        match scan(text.as_bytes()).unwrap() {
            Scan::Notification(note) => (note.about, note.cancels),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_kinds_are_told_apart() {
        let request =
            scan(br#"{"jsonrpc":"2.0","id":7,"method":"a/b","params":{"x":[1,{"id":9}]}}"#).unwrap();
        assert_eq!(request, Scan::Request { id: "7".into(), method: "a/b".into() });
        let response = scan(br#"{"result":{"a":1},"id":"s","jsonrpc":"2.0"}"#).unwrap();
        assert_eq!(response, Scan::Response { id: "\"s\"".into(), result: Some(r#"{"a":1}"#) });
        let error = scan(br#"{"id":3,"error":{"code":-1,"message":"x"}}"#).unwrap();
        assert_eq!(error, Scan::Response { id: "3".into(), result: None });
        let unnamed = scan(br#"{"id":null,"error":{"code":-32700,"message":"no\u001b JSON"}}"#).unwrap();
        assert_eq!(unnamed, Scan::Unnamed("no  JSON (code -32700)".into()));
    }

    #[test]
    fn ids_are_the_same_however_they_are_written() {
        let id = |text: &str| match scan(text.as_bytes()).unwrap() {
            Scan::Response { id, .. } => id,
            other => panic!("{other:?}"),
        };
        assert_eq!(id(r#"{"id":"A\/","result":{}}"#), id(r#"{"id":"\u0041/","result":{}}"#));
        assert_ne!(id(r#"{"id":"7","result":{}}"#), id(r#"{"id":7,"result":{}}"#));
    }

    #[test]
    fn notifications_say_which_request_they_are_about() {
        let note = |method, params| format!(r#"{{"method":"notifications/{method}","params":{params}}}"#);
        assert_eq!(about(&note("progress", r#"{"progressToken":5}"#)), (Some("5".into()), None));
        let listen = r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":6}}"#;
        assert_eq!(about(&note("tools/list_changed", listen)), (Some("6".into()), None));
        assert_eq!(about(&note("cancelled", r#"{"requestId":"q"}"#)), (None, Some("\"q\"".into())));
        for nothing in ["{}", "[1]", "null", "7", r#"{"_meta":3}"#, r#"{"progressToken":{}}"#] {
            assert_eq!(about(&note("progress", nothing)), (None, None), "{nothing}");
        }
    }

    #[test]
    fn what_cannot_be_brought_anywhere_is_said() {
        let deep = format!(r#"{{"x":{}"#, "[".repeat(10_000));
        for (text, why) in [
            ("", "no JSON-RPC object"),
            ("[{}]", "one JSON-RPC object"),
            ("{}", "neither"),
            (r#"{"id":{},"result":{}}"#, "`id`"),
            ("\u{0}", "no JSON-RPC"),
            (&deep, "no JSON-RPC"),
        ] {
            let error = scan(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn old_peers_are_known_by_their_revision_and_say_what_they_read() {
        assert_eq!(
            old_peer(r#"{"protocolVersion":"2024-11-05","limits":{"max_frame_bytes":4096}}"#),
            Some(4096)
        );
        assert_eq!(old_peer(r#"{"protocolVersion":"2024-11-05","limits":7}"#), Some(1 << 20));
        assert_eq!(old_peer(r#"{"protocolVersion":"2025-11-25"}"#), None);
        assert_eq!(old_peer("{}"), None);
    }
}
