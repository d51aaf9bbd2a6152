//! JSON-RPC messages: written out, and read from what a server sends.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::client::error::ProtocolError;

/// One message from the server.
#[derive(Debug)]
pub(crate) enum Message {
    /// The answer to a request of ours; the id is absent where the server could not read it.
    Response { id: Option<Value>, outcome: Result<Box<RawValue>, ProtocolError> },
    /// A question of the server's, in the revisions before 2026-07-28.
    Request { id: Value, method: String, params: Value },
    /// Something that needs no answer.
    Notification { method: String, params: Value },
}

#[derive(Deserialize)]
struct Wire {
    jsonrpc: Option<String>,
    #[serde(default)]
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    result: Option<Box<RawValue>>,
    error: Option<ProtocolError>,
}

/// Reads one message, or the messages of a batch; the error says what is wrong.
pub(crate) fn decode(text: &[u8], max_batch: usize) -> Result<Vec<Message>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    if !text.trim_start().starts_with('[') {
        return Ok(vec![read(text)?]);
    }
    let batch: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| no_json(&error))?;
    if batch.len() > max_batch {
        return Err(format!(
            "a batch of {} messages is more than max_batch_messages, {max_batch}",
            batch.len()
        ));
    }
    batch.into_iter().map(|message| read(message.get())).collect()
}

fn no_json(error: &serde_json::Error) -> String {
    format!("it is no JSON-RPC message: {error}")
}

fn read(text: &str) -> Result<Message, String> {
    let wire: Wire = serde_json::from_str(text).map_err(|error| no_json(&error))?;
    if wire.jsonrpc.as_deref() != Some("2.0") {
        return Err("its `jsonrpc` is not \"2.0\"".to_owned());
    }
    if wire.id.as_ref().is_some_and(|id| !id.is_string() && !id.is_number()) {
        return Err("its `id` is neither a string nor a number".to_owned());
    }
    match (wire.method, wire.id, wire.result, wire.error) {
        (Some(method), Some(id), None, None) => Ok(Message::Request { id, method, params: wire.params }),
        (Some(method), None, None, None) => Ok(Message::Notification { method, params: wire.params }),
        (None, Some(id), Some(result), None) if result.get().starts_with('{') => {
            Ok(Message::Response { id: Some(id), outcome: Ok(result) })
        }
        (None, _, Some(_), None) => Err("a result needs an `id` and must be an object".to_owned()),
        (None, id, None, Some(error)) => Ok(Message::Response { id, outcome: Err(error) }),
        _ => Err("it is neither a request, nor a notification, nor a response".to_owned()),
    }
}

/// The text of a request.
pub(crate) fn request(id: u64, method: &str, params: &Map<String, Value>) -> Vec<u8> {
    line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

/// The text of a notification.
pub(crate) fn notification(method: &str, params: &Map<String, Value>) -> Vec<u8> {
    if params.is_empty() {
        return line(&json!({ "jsonrpc": "2.0", "method": method }));
    }
    line(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

/// The text of the answer to a server's request.
pub(crate) fn response(id: &Value, outcome: &Result<Value, ProtocolError>) -> Vec<u8> {
    line(&match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    })
}

fn line(message: &Value) -> Vec<u8> {
    serde_json::to_vec(message).expect("invariant: a Value is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Message, String> {
        decode(text.as_bytes(), 4).map(|mut messages| messages.pop().unwrap())
    }

    #[test]
    fn the_four_kinds_are_told_apart() {
        assert!(matches!(one(r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#),
            Ok(Message::Response { id: Some(id), outcome: Ok(raw) }) if id == 1 && raw.get() == r#"{"a":1}"#));
        assert!(matches!(one(r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#),
            Ok(Message::Response { id: None, outcome: Err(error) }) if error.code == -32700));
        assert!(matches!(one(r#"{"jsonrpc":"2.0","id":"s","method":"ping"}"#),
            Ok(Message::Request { id, method, params: Value::Null }) if id == "s" && method == "ping"));
        assert!(matches!(one(r#"{"jsonrpc":"2.0","method":"n","params":{"x":1}}"#),
            Ok(Message::Notification { params, .. }) if params["x"] == 1));
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        for (text, reason) in [
            ("garbage", "no JSON-RPC"),
            ("{}", "jsonrpc"),
            (r#"{"jsonrpc":"1.0","id":1,"result":{}}"#, "jsonrpc"),
            (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, "object"),
            (r#"{"jsonrpc":"2.0","result":{}}"#, "needs an `id`"),
            (r#"{"jsonrpc":"2.0","id":{},"result":{}}"#, "neither a string"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#, "neither a request"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}"#, "no JSON-RPC"),
            ("[1]", "no JSON-RPC"),
        ] {
            let error = one(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(decode(b"\xff", 4).is_err());
        assert!(one(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn batches_are_bounded() {
        let message = r#"{"jsonrpc":"2.0","method":"n"}"#;
        let batch = |count: usize| format!("[{}]", vec![message; count].join(","));
        assert_eq!(decode(batch(4).as_bytes(), 4).unwrap().len(), 4);
        assert!(decode(batch(5).as_bytes(), 4).unwrap_err().contains("max_batch_messages"));
    }

    #[test]
    fn results_keep_their_text() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"z":1.0,"a":{"$ref":"x","b":123456789012345678901234567890}}}"#;
        let Ok(Message::Response { outcome: Ok(raw), .. }) = one(text) else { panic!("no result") };
        assert_eq!(raw.get(), r#"{"z":1.0,"a":{"$ref":"x","b":123456789012345678901234567890}}"#);
    }
}
