//! Progress and log notifications of a running call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use ringmesh::mcp::{Context, LogLevel, Registry, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{LEGACY, Server, finish, modern, poll_pending, request, take_events};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn steps() -> Tool {
    Tool::new("steps", "", |_: NoArgs, context: Context| async move {
        context.progress(0.5, Some(2.0), None).await;
        context.progress(0.5, Some(2.0), Some("not more than before")).await;
        context.progress(0.25, None, None).await;
        context.progress(f64::NAN, None, None).await;
        context.progress(f64::INFINITY, None, None).await;
        context.progress(1.0, Some(2.0), Some("half \"way\"")).await;
        Ok("done")
    })
}

fn logs() -> Tool {
    Tool::new("logs", "", |_: NoArgs, context: Context| async move {
        for level in LogLevel::ALL {
            context.log(level, Some("unit"), &json!({"level": level.as_str()})).await;
        }
        context.log(LogLevel::Emergency, None, "text").await;
        Ok("done")
    })
}

/// Sends one event more than fits.
fn flood() -> Tool {
    Tool::new("flood", "", |_: NoArgs, context: Context| async move {
        for step in 1..=100 {
            context.progress(f64::from(step), None, Some(&"x".repeat(100))).await;
        }
        Ok("done")
    })
}

fn server() -> Server {
    Server::limited(Registry::new().with(steps()).with(logs()).with(flood()), |limits| {
        limits.max_stream_queue_bytes = 1_024;
    })
}

fn levels(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["params"]["level"].as_str().unwrap()).collect()
}

#[test]
fn progress_is_sent_only_where_it_was_asked_for_and_only_upwards() {
    let server = server();
    assert_eq!(server.call("steps", json!({})).events, Vec::<Value>::new());
    for token in [
        json!("tok\"en"),
        json!(7),
        json!(-9_007_199_254_740_993_i64),
        json!("a token of more than thirty bytes, to be sure"),
    ] {
        let got = server.modern("tools/call", json!({"name": "steps", "_meta": {"progressToken": token}}));
        assert_eq!(got.content(), "done");
        let expected = [
            json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": 0.5, "total": 2}}),
            json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": 1, "total": 2, "message": "half \"way\""}}),
        ];
        assert_eq!(got.events, expected);
    }
    let session = server.open(LEGACY);
    for (token, sent) in [(json!(1), 2), (Value::Null, 0)] {
        let got = server.legacy(
            &session,
            "tools/call",
            json!({"name": "steps", "_meta": {"progressToken": token}}),
        );
        assert_eq!(got.events.len(), sent);
    }
}

#[test]
fn modern_logs_need_a_level_in_the_request() {
    let server = server();
    assert!(server.call("logs", json!({})).events.is_empty());
    let at = |level: &str| {
        let meta = json!({"io.modelcontextprotocol/logLevel": level});
        server.modern("tools/call", json!({"name": "logs", "_meta": meta})).events
    };
    assert_eq!(levels(&at("critical")), ["critical", "alert", "emergency", "emergency"]);
    assert_eq!(at("debug").len(), 9);
    let last = at("emergency");
    let params = json!({"level": "emergency", "logger": "unit", "data": {"level": "emergency"}});
    assert_eq!(last[0], json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params}));
    assert_eq!(last[1]["params"], json!({"level": "emergency", "data": "text"}));
}

#[test]
fn older_sessions_have_a_level_of_their_own() {
    let server = server();
    let session = server.open(LEGACY);
    let call = |session| server.legacy(session, "tools/call", json!({"name": "logs"})).events;
    assert_eq!(levels(&call(&session))[0], "info");
    server.legacy(&session, "logging/setLevel", json!({"level": "alert"}));
    assert_eq!(levels(&call(&session)), ["alert", "emergency", "emergency"]);
    assert_eq!(levels(&call(&server.open(LEGACY)))[0], "info");
}

#[test]
fn a_tool_waits_while_nobody_reads_its_events() {
    let server = server();
    let (headers, body) = modern("tools/call", json!({"name": "flood", "_meta": {"progressToken": 1}}));
    let mut call = server.start(&headers, body.to_string()).call();
    let mut events = Vec::new();
    let mut rounds = 0;
    loop {
        poll_pending(&mut call);
        poll_pending(&mut call);
        let taken = take_events(&mut call, &mut events);
        assert!(taken <= 6, "the queue holds 1 KiB, not {taken} events");
        rounds += 1;
        if events.len() == 100 {
            break;
        }
    }
    assert!(rounds > 15);
    assert!(call.times_queue_full() > 10);
    let got = finish(call);
    assert_eq!(got.content(), "done");
    let progress: Vec<_> = events.iter().map(|event| event["params"]["progress"].as_i64().unwrap()).collect();
    assert_eq!(progress, (1..=100).collect::<Vec<_>>());
}

#[test]
fn the_answer_waits_for_the_events_and_nothing_follows_it() {
    let late = Tool::new("late", "", |_: NoArgs, context: Context| async move {
        context.progress(1.0, None, None).await;
        let left = context.clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            futures_lite::future::block_on(left.progress(2.0, None, None));
        });
        Ok("done")
    });
    let server = Server::new(Registry::new().with(late));
    let (headers, body) = modern("tools/call", json!({"name": "late", "_meta": {"progressToken": 1}}));
    let mut call = server.start(&headers, body.to_string()).call();
    assert!(!call.has_events());
    poll_pending(&mut call);
    assert!(call.has_events());
    std::thread::sleep(std::time::Duration::from_millis(60));
    poll_pending(&mut call);
    let mut events = Vec::new();
    assert_eq!(take_events(&mut call, &mut events), 1, "what came after the end is dropped");
    assert!(!call.has_events());
    assert_eq!(finish(call).content(), "done");
}

#[test]
fn an_event_from_another_thread_wakes_the_call() {
    let threads = Tool::new("threads", "", |_: NoArgs, context: Context| async move {
        let steps = Arc::new(AtomicUsize::new(0));
        let (counter, other) = (steps.clone(), context.clone());
        std::thread::spawn(move || {
            for step in 1..=20 {
                std::thread::sleep(std::time::Duration::from_millis(1));
                counter.store(step, Ordering::SeqCst);
                futures_lite::future::block_on(other.progress(step as f64, None, None));
            }
        });
        // Nothing here asks to be woken: the events alone do it.
        std::future::poll_fn(|_| match steps.load(Ordering::SeqCst) {
            20 => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
        Ok("done")
    });
    let server = Server::new(Registry::new().with(threads));
    let got = server.modern("tools/call", json!({"name": "threads", "_meta": {"progressToken": 1}}));
    assert_eq!(got.content(), "done");
    // The last event may come too late for a call that has already seen the last step.
    assert!(matches!(got.events.len(), 19 | 20), "{}", got.events.len());
}

#[test]
fn an_event_larger_than_the_queue_is_dropped() {
    let huge = Tool::new("huge", "", |_: NoArgs, context: Context| async move {
        context.log(LogLevel::Error, None, &"x".repeat(5_000)).await;
        context.log(LogLevel::Error, None, "small").await;
        Ok("done")
    });
    let server = Server::limited(Registry::new().with(huge), |limits| limits.max_stream_queue_bytes = 1_024);
    let session = server.open(LEGACY);
    let got = server.post(&session, request("tools/call", json!({"name": "huge"})).to_string());
    assert_eq!((got.events.len(), got.content()), (1, "done"));
}
