//! Repetitions: where they are safe, and how many.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ringmesh::client::{Client, ClientError, RetryPolicy, TransportError};
use serde_json::{Value, json};

use super::script::{Answer, Script, Seen, Step};
use super::{connect, options, run};

/// A server of the new era that answers so often with `refusal` before it gives in.
fn after(refusals: usize, refusal: impl Fn(&Seen) -> Answer + 'static) -> std::rc::Rc<Script> {
    let given = Cell::new(0);
    Script::modern(move |seen| {
        given.set(given.get() + 1);
        if given.get() <= refusals {
            return refusal(seen);
        }
        seen.result(json!({ "resultType": "complete", "content": [], "tools": [] }))
    })
}

fn is_repeated(call: bool, refusal: fn(&Seen) -> Answer) -> bool {
    let repeated = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = repeated.clone();
    run(move |scope| async move {
        let script = after(1, refusal);
        let client = connect(&scope, &script, options()).await;
        let done = match call {
            true => client.call_tool("t", Value::Null).await.map(drop),
            false => client.list_tools().await.map(drop),
        };
        let asked = script.count("tools/call") + script.count("tools/list");
        assert_eq!(done.is_ok(), asked == 2, "{done:?}");
        told.store(asked == 2, std::sync::atomic::Ordering::SeqCst);
    });
    repeated.load(std::sync::atomic::Ordering::SeqCst)
}

#[test]
fn what_did_not_run_is_repeated_even_for_calls() {
    let refusals: [fn(&Seen) -> Answer; 5] = [
        |_| Answer::Fail(TransportError::Connect("refused".into())),
        |_| Answer::Http { status: 503, session: None, retry_after: Some(Duration::ZERO), body: None },
        |_| Answer::text(429, "slow down"),
        |seen| seen.error(503, -33503, json!({ "retryable": true, "retryAfterMs": 1 })),
        |seen| seen.error(200, -33503, json!({ "retryable": true })),
    ];
    for refusal in refusals {
        assert!(is_repeated(true, refusal) && is_repeated(false, refusal));
    }
}

#[test]
fn what_may_have_run_is_repeated_only_where_nothing_changes() {
    let refusals: [fn(&Seen) -> Answer; 4] = [
        |_| Answer::Fail(TransportError::Closed { before_answer: true }),
        |_| Answer::status(502),
        |_| Answer::text(503, "upstream connect error or disconnect/reset before headers"),
        |_| Answer::Events(vec![Step::Break]),
    ];
    for refusal in refusals {
        assert!(!is_repeated(true, refusal));
        assert!(is_repeated(false, refusal));
    }
}

#[test]
fn what_would_be_refused_again_is_not_repeated() {
    let refusals: [fn(&Seen) -> Answer; 5] = [
        |seen| seen.error(200, -32603, Value::Null),
        |_| Answer::status(500),
        |_| Answer::Fail(TransportError::Malformed("x".into())),
        |_| Answer::text(200, "garbage"),
        |_| Answer::status(202),
    ];
    for refusal in refusals {
        assert!(!is_repeated(true, refusal) && !is_repeated(false, refusal));
    }
}

#[test]
fn a_tool_that_says_so_may_be_called_again() {
    run(|scope| async move {
        let broken = Cell::new(false);
        let script = Script::modern(move |seen| match seen.method() {
            "tools/list" => seen
                .result(json!({ "tools": [{ "name": "t", "inputSchema": { "type": "object" },
                "annotations": { "idempotentHint": true } }] })),
            _ if !broken.replace(true) => Answer::Fail(TransportError::Closed { before_answer: true }),
            _ => seen.result(json!({ "content": [] })),
        });
        let client = connect(&scope, &script, options()).await;
        client.list_tools().await.unwrap();
        client.call_tool("t", Value::Null).await.unwrap();
        let calls = script.sent("tools/call");
        assert_eq!(calls.len(), 2);
        assert!(calls[0].outgoing.idempotent && calls[0].id() != calls[1].id());
    });
}

#[test]
fn repetitions_are_bounded_and_keep_to_what_the_server_asks() {
    run(|scope| async move {
        let script = after(100, |_| Answer::status(503));
        let mut options = options();
        options.retries.max_retries = 2;
        let client = connect(&scope, &script, options).await;
        let error = client.list_tools().await.unwrap_err();
        assert!(matches!(error, ClientError::Http { status: 503, .. }));
        assert_eq!(script.count("tools/list"), 3);
    });
    run(|scope| async move {
        let asked = |ms| {
            move |_: &Seen| Answer::Http {
                status: 429,
                session: None,
                retry_after: Some(Duration::from_millis(ms)),
                body: None,
            }
        };
        let script = after(1, asked(120));
        let client = connect(&scope, &script, options()).await;
        let began = Instant::now();
        client.list_tools().await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(120));
        let script = after(1, asked(3_600_000));
        let client = connect(&scope, &script, options()).await;
        assert!(client.list_tools().await.is_err(), "nobody waits for an hour");
    });
}

#[test]
fn the_first_request_is_repeated_too() {
    run(|scope| async move {
        let script = Script::new(|_| Answer::Fail(TransportError::Connect("refused".into())));
        let mut options = options();
        options.retries = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
        let error = Client::connect_over(&scope, script.clone(), options).await.unwrap_err();
        assert!(error.to_string().contains("script: ") && script.methods().len() == 4, "{error}");
    });
}
