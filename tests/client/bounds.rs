//! The bounds of what a server may make the client hold.

use std::time::Duration;

use futures_lite::future::poll_once;
use ringmesh::client::{ClientError, ClientLimits, ListenFilter};
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

use super::script::{Answer, Script, Step};
use super::{connect, options, run};

/// The error of a call to a server of the new era under these limits.
fn refused(set: fn(&mut ClientLimits), answer: fn(&super::script::Seen) -> Answer, limit: &'static str) {
    run(move |scope| async move {
        let script = Script::modern(answer);
        let mut options = options();
        set(&mut options.limits);
        let client = connect(&scope, &script, options).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(error.to_string().contains(limit), "{error}");
        assert!(matches!(error, ClientError::Limit { .. } | ClientError::Malformed { .. }), "{error}");
        assert_eq!(script.count("tools/call"), 1, "what is too large is not asked for again");
    });
}

#[test]
fn messages_are_bounded_in_bodies_and_events() {
    refused(
        |limits| limits.max_message_bytes = 1_000,
        |seen| seen.result(json!({ "content": [{ "type": "text", "text": "x".repeat(2_000) }] })),
        "max_message_bytes",
    );
    refused(
        |limits| limits.max_message_bytes = 1_000,
        |seen| Answer::Events(vec![seen.last(json!({ "content": "x".repeat(2_000) }))]),
        "max_message_bytes",
    );
}

#[test]
fn batches_and_streams_are_bounded() {
    refused(
        |limits| limits.max_batch_messages = 3,
        |_| Answer::json(200, json!([1, 2, 3, 4])),
        "max_batch_messages",
    );
    refused(
        |limits| limits.max_stream_messages = 10,
        |_| Answer::Events((0..50).map(|_| Step::note("n", json!({}))).chain([Step::Hang]).collect()),
        "max_stream_messages",
    );
}

#[test]
fn questions_of_one_round_are_bounded() {
    refused(
        |limits| limits.max_questions = 2,
        |seen| {
            let question = json!({ "method": "roots/list" });
            seen.result(json!({ "resultType": "input_required",
                "inputRequests": { "a": question, "b": question, "c": question } }))
        },
        "max_questions",
    );
}

#[test]
fn a_time_out_without_end_and_a_pause_without_end_can_be_waited_for() {
    run(|scope| async move {
        let opened = std::cell::Cell::new(false);
        let script = Script::modern(move |seen| match seen.method() {
            "subscriptions/listen" if !opened.replace(true) => {
                let meta = json!({ "io.modelcontextprotocol/subscriptionId": seen.id() });
                let params = json!({ "_meta": meta, "notifications": { "toolsListChanged": true } });
                Answer::Events(vec![
                    Step::note("notifications/subscriptions/acknowledged", params),
                    Step::Break,
                ])
            }
            "subscriptions/listen" => {
                seen.error(503, -33503, json!({ "retryable": true, "retryAfterMs": u64::MAX }))
            }
            _ => seen.result(json!({ "content": [] })),
        });
        let mut options = options();
        (options.request_timeout, options.max_request_timeout) = (Duration::MAX, Duration::MAX);
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", Value::Null).await.unwrap();
        let mut changes = client.listen(ListenFilter::lists()).await.unwrap();
        script.until("subscriptions/listen", 2).await;
        sleep(Duration::from_millis(20)).await;
        assert!(poll_once(changes.next()).await.is_none(), "it waits, and nothing has panicked");
        client.close().await.unwrap();
    });
}
