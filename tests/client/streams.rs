//! Streams of requests: they break, and go on where the server says how.

use std::time::{Duration, Instant};

use ringmesh::client::{ClientError, Event, TransportError};
use serde_json::{Value, json};

use super::script::{Answer, Script, Step};
use super::{connect, options, run};

fn done() -> Value {
    json!({ "jsonrpc": "2.0", "id": Value::Null, "result": { "content": [{ "type": "text", "text": "done" }] } })
}

/// The response of the one call of these tests, whose id the transport has seen.
fn response(script_id: &Value) -> Step {
    let mut message = done();
    message["id"] = script_id.clone();
    Step::data(message)
}

#[test]
fn a_stream_is_resumed_after_the_servers_pause_from_its_last_event() {
    run(|scope| async move {
        let id = std::rc::Rc::new(std::cell::RefCell::new(Value::Null));
        let script = Script::old(move |seen| match seen.method() {
            "tools/call" => {
                id.replace(seen.id());
                Answer::Events(vec![
                    Step::id("e1", Some(150)),
                    Step::note("n", json!({})),
                    Step::id("e2", None),
                ])
            }
            "GET" => match seen.outgoing.head.last_event_id.as_deref() {
                Some("e2") => Answer::Events(vec![Step::id("e3", Some(1)), Step::Break]),
                Some("e3") => Answer::Events(vec![response(&id.borrow())]),
                other => panic!("{other:?}"),
            },
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        let began = Instant::now();
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "done");
        assert!(began.elapsed() >= Duration::from_millis(150));
        let resumed = script.sent("GET");
        assert_eq!(resumed.len(), 2);
        assert_eq!(resumed[0].outgoing.head.session_id.as_deref(), Some("session-1"));
        assert_eq!(script.count("notifications/cancelled"), 0);
    });
}

#[test]
fn resumptions_are_tried_again_and_bounded() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![Step::id("e", Some(1))]),
            "GET" => Answer::Fail(TransportError::Connect("refused".into())),
            _ => Answer::status(202),
        });
        let mut options = options();
        options.limits.max_resumptions = 2;
        let client = connect(&scope, &script, options).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        let closed = TransportError::Closed { before_answer: false };
        assert!(matches!(&error, ClientError::Transport { error, .. } if *error == closed), "{error}");
        assert_eq!((script.count("GET"), script.count("tools/call")), (2, 1));
        script.until("notifications/cancelled", 1).await;
    });
}

#[test]
fn a_stream_without_ids_or_in_the_new_era_is_not_resumed() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![Step::note("n", json!({}))]),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        assert!(matches!(client.call_tool("t", Value::Null).await, Err(ClientError::Transport { .. })));
        let script = Script::modern(|_| Answer::Events(vec![Step::id("e", Some(1))]));
        let client = connect(&scope, &script, options()).await;
        assert!(matches!(client.call_tool("t", Value::Null).await, Err(ClientError::Transport { .. })));
        assert_eq!(script.count("GET"), 0);
    });
}

#[test]
fn a_server_that_does_not_resume_is_believed() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![Step::id("e", Some(1))]),
            "GET" => Answer::status(405),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(matches!(error, ClientError::Http { status: 405, .. }), "{error}");
        assert_eq!(script.count("GET"), 1);
    });
}

#[test]
fn a_call_is_not_made_again_because_its_stream_may_not_be_opened_yet() {
    run(|scope| async move {
        let id = std::rc::Rc::new(std::cell::RefCell::new(Value::Null));
        let refused = std::cell::Cell::new(false);
        let script = Script::old(move |seen| match seen.method() {
            "tools/call" => {
                id.replace(seen.id());
                Answer::Events(vec![Step::id("e", Some(1))])
            }
            "GET" if !refused.replace(true) => {
                let retry_after = Some(Duration::from_millis(150));
                Answer::Http { status: 429, session: None, retry_after, body: None }
            }
            "GET" => Answer::Events(vec![response(&id.borrow())]),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        let began = Instant::now();
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "done");
        assert_eq!((script.count("GET"), script.count("tools/call")), (2, 1));
        assert!(began.elapsed() >= Duration::from_millis(150), "the server asked for a pause");
    });
}

#[test]
fn responses_to_others_and_unknown_messages_are_passed_over() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            let other = json!({ "jsonrpc": "2.0", "id": 4_711, "result": {} });
            let text = json!({ "jsonrpc": "2.0", "id": seen.id().to_string(), "result": {} });
            let steps = vec![Step::data(other), Step::data(text), Step::note("notifications/new", json!({}))];
            Answer::Events(
                steps.into_iter().chain([seen.last(json!({ "content": [], "isError": true }))]).collect(),
            )
        });
        let client = connect(&scope, &script, options()).await;
        assert!(client.call_tool("t", Value::Null).await.unwrap().is_error);
    });
}

#[test]
fn garbage_on_a_stream_ends_the_request() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![
                Step::Event(Event { data: b"{]".to_vec(), ..Event::default() }),
                Step::Hang,
            ]),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
        script.until("notifications/cancelled", 1).await;
        scope.wait_idle().await;
        assert_eq!(script.open.get(), 0);
    });
}

#[test]
fn batches_of_2025_03_26_are_read() {
    run(|scope| async move {
        let script = Script::new(|seen| match seen.method() {
            "initialize" => seen.result(super::script::initialized("2025-03-26")),
            "tools/list" => Answer::json(
                200,
                json!([
                    { "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": 1 } },
                    { "jsonrpc": "2.0", "id": seen.id(), "result": { "tools": [] } }
                ]),
            ),
            "tools/call" => Answer::Events(vec![Step::data(json!([
                { "jsonrpc": "2.0", "method": "n" },
                { "jsonrpc": "2.0", "id": seen.id(), "result": { "content": [] } }
            ]))]),
            "server/discover" => Answer::status(400),
            _ => Answer::status(202),
        });
        let logged = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = logged.clone();
        let client = connect(&scope, &script, options().on_log(move |_| count.set(count.get() + 1))).await;
        assert!(client.list_tools().await.unwrap().is_empty());
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(logged.get(), 1);
    });
}
