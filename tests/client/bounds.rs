//! The bounds of what a server may make the client hold.

use ringmesh::client::{ClientError, ClientLimits};
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
