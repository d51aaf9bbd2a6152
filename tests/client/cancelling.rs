//! Requests that are given up, time out, or end with the client.

use std::time::Duration;

use futures_lite::future::{or, poll_once};
use ringmesh::client::{CallOptions, ClientError, ListenFilter};
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

use super::script::{Answer, Script, Step};
use super::{connect, options, run};

fn short(ms: u64) -> CallOptions {
    CallOptions::new().timeout(Duration::from_millis(ms))
}

#[test]
fn dropping_a_call_closes_its_stream_in_the_new_era() {
    run(|scope| async move {
        let script = Script::modern(|_| Answer::Events(vec![Step::Hang]));
        let client = connect(&scope, &script, options()).await;
        let call = async {
            let _ = client.call_tool("t", Value::Null).await;
        };
        or(call, sleep(Duration::from_millis(30))).await;
        assert_eq!((script.open.get(), script.count("notifications/cancelled")), (0, 0));
        assert_eq!(scope.tasks(), 0);
    });
}

#[test]
fn dropping_a_call_tells_an_older_server() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![Step::Hang]),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        let call = async {
            let _ = client.call_tool("t", Value::Null).await;
        };
        or(call, sleep(Duration::from_millis(30))).await;
        script.until("notifications/cancelled", 1).await;
        let cancelled = &script.sent("notifications/cancelled")[0];
        assert_eq!(cancelled.body["params"]["requestId"], script.sent("tools/call")[0].id());
        assert_eq!(cancelled.outgoing.head.session_id.as_deref(), Some("session-1"));
        scope.wait_idle().await;
        assert_eq!(script.open.get(), 0);
    });
}

#[test]
fn a_bare_stream_is_told_in_every_era() {
    run(|scope| async move {
        let script = Script::modern(|seen| match seen.method() {
            "tools/call" => Answer::Hang,
            _ => Answer::status(200),
        });
        script.has_headers.set(false);
        let client = connect(&scope, &script, options()).await;
        let error = client.call_tool_with("t", Value::Null, short(20)).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { .. }));
        script.until("notifications/cancelled", 1).await;
    });
}

#[test]
fn notices_of_cancellation_are_bounded() {
    run(|scope| async move {
        let script = Script::old(|_| Answer::Hang);
        let mut options = options();
        options.limits.max_pending_cancels = 2;
        options.request_timeout = Duration::from_millis(200);
        let client = connect(&scope, &script, options).await;
        for _ in 0..5 {
            assert!(poll_once(client.call_tool("t", Value::Null)).await.is_none());
        }
        sleep(Duration::from_millis(50)).await;
        assert_eq!(script.count("notifications/cancelled"), 2);
    });
}

#[test]
fn a_request_that_times_out_is_given_up_and_not_repeated() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/list" => Answer::Events(vec![Step::Hang]),
            _ => Answer::status(202),
        });
        let mut options = options();
        options.request_timeout = Duration::from_millis(40);
        let client = connect(&scope, &script, options).await;
        let error = client.list_tools().await.unwrap_err();
        assert!(matches!(&error, ClientError::Timeout { method, .. } if method == "tools/list"), "{error}");
        script.until("notifications/cancelled", 1).await;
        assert_eq!(script.count("tools/list"), 1);
    });
}

#[test]
fn progress_extends_the_wait_up_to_a_bound() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            let token = &seen.body["params"]["_meta"]["progressToken"];
            assert_eq!(token, &seen.id());
            let progress = |n: u64, token: &Value| {
                Step::note("notifications/progress", json!({ "progressToken": token, "progress": n }))
            };
            let quick = seen.body["params"]["name"] == "ends";
            let steps = (1..if quick { 5 } else { 100 }).flat_map(|n| [Step::Pause(30), progress(n, token)]);
            let other = progress(99, &json!("somebody else's"));
            Answer::Events(
                [other].into_iter().chain(steps).chain([seen.last(json!({ "content": [] }))]).collect(),
            )
        });
        let client = connect(&scope, &script, options()).await;
        let (heard, count) = (std::rc::Rc::new(std::cell::Cell::new(0.0)), ());
        let hear = heard.clone();
        let with = short(60).on_progress(move |progress| hear.set(hear.get() + progress.progress));
        client.call_tool_with("ends", Value::Null, with.clone()).await.unwrap();
        assert_eq!((heard.get(), count), (10.0, ()));
        let bounded = with.max_timeout(Duration::from_millis(150));
        let error = client.call_tool_with("endless", Value::Null, bounded).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { after, .. } if after >= Duration::from_millis(150)));
    });
}

#[test]
fn closing_ends_everything() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "GET" | "tools/call" => Answer::Events(vec![Step::Hang]),
            "DELETE" => Answer::status(405),
            _ => seen.result(json!({})),
        });
        let client = connect(&scope, &script, options()).await;
        let mut changes = client.listen(ListenFilter::lists()).await.unwrap();
        let other = client.clone();
        let call = async { other.call_tool("t", Value::Null).await };
        let close = async {
            sleep(Duration::from_millis(20)).await;
            client.close().await
        };
        let (called, closed) = futures_lite::future::zip(call, close).await;
        assert_eq!((called.unwrap_err(), closed), (ClientError::Closed, Ok(())));
        assert_eq!(changes.next().await, None);
        assert_eq!(script.count("DELETE"), 1);
        assert!(script.closed.get() && script.open.get() == 0 && scope.tasks() == 0);
        assert_eq!(other.ping().await, Err(ClientError::Closed));
        assert_eq!(other.listen(ListenFilter::lists()).await.unwrap_err(), ClientError::Closed);
    });
}

#[test]
fn dropping_the_last_client_leaves_nothing_running() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "GET" => Answer::Events(vec![Step::Hang]),
            _ => seen.result(json!({})),
        });
        let client = connect(&scope, &script, options().on_log(|_| ())).await;
        let clone = client.clone();
        drop(client);
        assert_eq!(
            (scope.tasks(), script.open.get()),
            (1, 1),
            "the stream for what the server says on its own"
        );
        drop(clone);
        scope.wait_idle().await;
        assert_eq!(script.open.get(), 0);
    });
}

#[test]
fn the_clients_streams_end_with_their_scope() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "GET" => Answer::Events(vec![Step::Hang]),
            _ => seen.result(json!({})),
        });
        let options_of_scope = ringmesh::runtime::ScopeOptions {
            grace: Duration::from_millis(10),
            ..ringmesh::runtime::ScopeOptions::named("inner")
        };
        let inner = script.clone();
        let kept = scope
            .child(options_of_scope, |scope| async move {
                let client = connect(&scope, &inner, options().on_log(|_| ())).await;
                scope.cancel();
                Ok::<_, ClientError>(client)
            })
            .await;
        assert_eq!(script.open.get(), 0);
        drop(kept);
    });
}
