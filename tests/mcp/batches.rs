//! JSON-RPC batches, which only 2025-03-26 has.

use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use ringmesh::mcp::{Answer, Batch, Context, Registry};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Headers, LEGACY, Server, modern, request};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn registry() -> Registry {
    Registry::new()
        .tool("hi", "Greets", |_: NoArgs, _: Context| async { Ok("hi") })
        .tool("wait", "Waits for its end", |_: NoArgs, context: Context| async move {
            context.cancelled().await;
            std::future::pending::<()>().await;
            Ok("never")
        })
        .tool("tell", "Tells and ends", |_: NoArgs, context: Context| async move {
            context.progress(1.0, None, None).await;
            Ok("told")
        })
}

fn server() -> (Server, Headers) {
    let server = Server::new(registry());
    let session = server.open("2025-03-26");
    (server, session)
}

fn call(id: Value, tool: &str) -> Value {
    let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": id}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

fn ping(id: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "ping"})
}

fn poll(batch: &mut Batch) -> Option<(Answer, Value)> {
    let mut out = Vec::new();
    match batch.poll(&mut TaskContext::from_waker(Waker::noop()), &mut out) {
        Poll::Ready(answer) => Some((answer, serde_json::from_slice(&out).unwrap_or_default())),
        Poll::Pending => None,
    }
}

fn event(batch: &mut Batch) -> Option<Value> {
    let mut out = Vec::new();
    let polled = batch.poll_event(&mut TaskContext::from_waker(Waker::noop()), &mut out);
    polled.is_ready().then(|| serde_json::from_slice(&out).unwrap())
}

/// The answers of a batch without events.
fn answers(server: &Server, session: &Headers, batch: &Value) -> (u16, Vec<Value>) {
    let mut batch = server.batch(session, batch.to_string());
    let (answer, body) = poll(&mut batch).expect("it ends at its first poll");
    (answer.status, body.as_array().expect("an array").clone())
}

#[test]
fn requests_are_answered_as_one_array() {
    let (server, session) = server();
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let response = json!({"jsonrpc": "2.0", "id": 99, "result": {}});
    let batch =
        json!([ping(json!("a")), notification, call(json!(2), "hi"), response, call(json!(3), "lost")]);
    let (status, answers) = answers(&server, &session, &batch);
    assert_eq!((status, answers.len()), (200, 3));
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "a", "result": {}}));
    assert_eq!(answers[1]["result"]["content"][0]["text"], "hi");
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&json!(3), &json!(-32602)));
}

#[test]
fn a_batch_without_requests_is_accepted() {
    let (server, session) = server();
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"});
    let response = json!({"jsonrpc": "2.0", "id": 99, "error": {"code": 1, "message": "no"}});
    for batch in [json!([notification]), json!([response]), json!([notification, response])] {
        let got = server.post(&session, batch.to_string());
        assert_eq!((got.status, got.body), (202, None));
    }
}

#[test]
fn each_malformed_message_is_refused_for_itself() {
    let (server, session) = server();
    let odd = json!([1, {"jsonrpc": "1.0", "id": 5, "method": "ping"}, [], {"jsonrpc": "2.0", "id": 6}]);
    let (status, refused) = answers(&server, &session, &odd);
    assert_eq!((status, refused.len()), (400, 4), "nothing in it was a request");
    assert!(refused.iter().all(|entry| entry["error"]["code"] == -32600), "{refused:?}");
    assert_eq!((refused[0].get("id"), refused[1].get("id")), (None, Some(&json!(5))));
    let mixed = json!([ping(json!(1)), "x", crate::support::initialize("2025-03-26")]);
    let (status, entries) = answers(&server, &session, &mixed);
    assert_eq!((status, entries.len()), (200, 3));
    assert!(entries[2]["error"]["message"].as_str().unwrap().contains("initialize"), "{entries:?}");
}

#[test]
fn batches_are_bounded_and_not_empty() {
    let server = Server::limited(registry(), |limits| limits.max_batch_messages = 3);
    let session = server.open("2025-03-26");
    let of = |count: usize| Value::Array((0..count).map(|id| ping(json!(id))).collect());
    assert_eq!(answers(&server, &session, &of(3)).1.len(), 3);
    let got = server.post(&session, of(4).to_string());
    assert_eq!((got.status, got.code(), got.error()), (400, -32600, Some("batch_too_long")));
    assert_eq!(got.body()["error"]["data"], json!({"limit": "max_batch_messages", "max": 3}));
    for empty in ["[]", " [ ] "] {
        let got = server.post(&session, empty);
        assert_eq!((got.status, got.code(), got.error()), (400, -32600, Some("invalid_request")));
    }
}

#[test]
fn no_other_revision_has_batches() {
    let (server, session) = server();
    let batch = json!([ping(json!(1))]).to_string();
    let refused = |headers: &Headers, error: &str, status: u16| {
        let got = server.post(headers, &batch);
        assert_eq!((got.status, got.error()), (status, Some(error)), "{}", got.text);
    };
    for version in [LEGACY, "2025-06-18", "2024-11-05"] {
        refused(&server.open(version), "batch", 400);
    }
    refused(&Headers::json(), "batch", 400);
    refused(&modern("ping", json!({})).0, "batch", 400);
    refused(&Headers { session: Some("x".into()), ..Headers::json() }, "session_not_found", 404);
    assert_eq!(server.post(&session, &batch[..batch.len() - 1]).code(), -32700);
}

#[test]
fn calls_run_side_by_side_and_the_array_waits_for_all() {
    let (server, session) = server();
    let mut batch = server.batch(&session, json!([call(json!(1), "wait"), call(json!(2), "hi")]).to_string());
    assert!(poll(&mut batch).is_none());
    assert_eq!(batch.running(), 1);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(server.post(&session, cancel.to_string()).status, 202);
    let (answer, body) = poll(&mut batch).expect("the cancelled call ends");
    assert_eq!((answer.status, &body[0]["error"]["code"]), (200, &json!(-33499)));
    assert_eq!(body[1]["result"]["content"][0]["text"], "hi", "the other is not touched");
    let ended = std::iter::from_fn(|| batch.take_ended()).count();
    assert_eq!(ended, 2, "each is counted");
}

#[test]
fn events_make_the_answers_events() {
    let (server, session) = server();
    let body = json!([call(json!(1), "tell"), call(json!(2), "hi"), call(json!(3), "wait")]);
    let mut batch = server.batch(&session, body.to_string());
    assert!(poll(&mut batch).is_none());
    assert!(batch.has_events());
    assert_eq!(event(&mut batch).unwrap()["method"], "notifications/progress");
    assert_eq!(event(&mut batch).unwrap()["id"], 2, "what is there does not wait");
    assert!(event(&mut batch).is_none() && poll(&mut batch).is_none());
    assert_eq!(event(&mut batch).unwrap()["id"], 1);
    assert!(event(&mut batch).is_none() && poll(&mut batch).is_none());
    batch.cancel();
    assert!(poll(&mut batch).is_none(), "an answer waits to be taken");
    assert_eq!(event(&mut batch).unwrap()["error"]["code"], -33503);
    let (answer, _) = poll(&mut batch).expect("all is said");
    assert!(!answer.has_body);
}

#[test]
fn each_call_has_its_own_time() {
    let mut server = Server::limited(registry(), |limits| limits.tool_timeout_ms = 1_000);
    let session = server.open("2025-03-26");
    let mut batch = server.batch(&session, json!([call(json!(1), "wait"), ping(json!(2))]).to_string());
    assert!(poll(&mut batch).is_none());
    let at = batch.expires_at().expect("a deadline");
    assert_eq!(at, server.now + Duration::from_secs(1));
    server.advance(Duration::from_secs(1));
    batch.expire(server.now);
    let (_, body) = poll(&mut batch).expect("nothing runs any more");
    assert_eq!((&body[0]["result"]["isError"], &body[1]["result"]), (&json!(true), &json!({})));
    assert_eq!(batch.expires_at(), None);
}

#[test]
fn a_batch_keeps_its_session_in_use() {
    let mut server = Server::limited(registry(), |limits| limits.session_idle_timeout_ms = 1_000);
    let session = server.open("2025-03-26");
    let batch = server.batch(&session, json!([call(json!(1), "wait")]).to_string());
    server.advance(Duration::from_secs(5));
    assert_eq!(server.dispatcher.sweep(server.now), 0);
    drop(batch);
    server.advance(Duration::from_secs(5));
    assert_eq!(server.dispatcher.sweep(server.now), 1);
    assert_eq!(server.post(&session, request("ping", json!({})).to_string()).status, 404);
}
