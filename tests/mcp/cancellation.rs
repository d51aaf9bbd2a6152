//! How a running call is stopped: by the client, the clock, the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use ringmesh::mcp::{Call, Context, Registry, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Got, Headers, LEGACY, Server, finish, modern, poll_pending, request};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

/// Counts what of a handler was dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn server(dropped: &Arc<AtomicUsize>) -> Server {
    let counter = dropped.clone();
    let wait = Tool::new("wait", "", move |_: NoArgs, _: Context| {
        let guard = Dropped(counter.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok("never")
        }
    });
    let heed = Tool::new("heed", "", |_: NoArgs, context: Context| async move {
        context.cancelled().await;
        Ok(format!("heeded {}", context.is_cancelled()))
    });
    let stubborn = Tool::new("stubborn", "", |_: NoArgs, context: Context| async move {
        context.cancelled().await;
        std::future::pending::<()>().await;
        Ok("never")
    });
    let registry = Registry::new()
        .with(wait.timeout(Duration::from_millis(1_500)))
        .with(heed)
        .with(stubborn)
        .tool("quick", "", |_: NoArgs, _: Context| async { Ok("quick") });
    Server::new(registry)
}

fn start(server: &Server, headers: &Headers, id: &Value, tool: &str) -> Call {
    let mut body = request("tools/call", json!({ "name": tool }));
    body["id"] = id.clone();
    let mut call = server.start(headers, body.to_string()).call();
    poll_pending(&mut call);
    call
}

fn cancel(server: &Server, session: &Headers, id: &Value) {
    let params = json!({"requestId": id, "reason": "test"});
    let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(server.post(session, body.to_string()).status, 202);
}

fn polled(call: &mut Call) -> Got {
    let mut out = Vec::new();
    match call.poll(&mut TaskContext::from_waker(Waker::noop()), &mut out) {
        Poll::Ready(answer) => Got::new(answer, &out, Vec::new()),
        Poll::Pending => panic!("still pending"),
    }
}

#[test]
fn a_notification_cancels_the_call_of_its_session_and_id() {
    let dropped = Arc::default();
    let server = server(&dropped);
    let (session, other) = (server.open(LEGACY), server.open(LEGACY));
    let mut first = start(&server, &session, &json!("a"), "wait");
    let mut second = start(&server, &session, &json!("b"), "wait");
    let mut foreign = start(&server, &other, &json!("a"), "wait");
    for id in [json!("A"), json!(1), json!(null), json!({})] {
        cancel(&server, &session, &id);
    }
    poll_pending(&mut first);
    cancel(&server, &session, &json!("a"));
    let got = polled(&mut first);
    assert_eq!((got.status, got.code(), got.error()), (200, -33499, Some("cancelled")));
    assert_eq!((&got.body()["id"], dropped.load(Ordering::SeqCst)), (&json!("a"), 1));
    poll_pending(&mut second);
    poll_pending(&mut foreign);
    cancel(&server, &session, &json!("a"));
    let escaped = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"\u0062"}}"#;
    assert_eq!(server.post(&session, escaped).status, 202);
    assert_eq!(polled(&mut second).error(), Some("cancelled"));
}

#[test]
fn a_cancellation_from_another_thread_wakes_the_call() {
    let server = server(&Arc::default());
    let session = server.open(LEGACY);
    for tool in ["wait", "stubborn"] {
        let call = start(&server, &session, &json!(5), tool);
        std::thread::scope(|scope| {
            let (dispatcher, now, session) = (server.dispatcher.clone(), server.now, &session);
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                cancel(&Server { dispatcher, now }, session, &json!(5));
            });
            assert_eq!(finish(call).error(), Some("cancelled"), "{tool}");
        });
    }
}

#[test]
fn a_handler_that_heeds_the_cancellation_may_still_answer() {
    let server = server(&Arc::default());
    let session = server.open(LEGACY);
    let mut call = start(&server, &session, &json!(1), "heed");
    cancel(&server, &session, &json!(1));
    assert_eq!(polled(&mut call).content(), "heeded true");
}

#[test]
fn a_cancellation_before_the_first_poll_finds_nothing() {
    let server = server(&Arc::default());
    let session = server.open(LEGACY);
    let call = server.start(&session, request("tools/call", json!({"name": "quick"})).to_string()).call();
    cancel(&server, &session, &json!(1));
    assert_eq!(finish(call).content(), "quick");
}

#[test]
fn the_end_of_a_session_cancels_its_calls() {
    let server = server(&Arc::default());
    let session = server.open(LEGACY);
    let mut waiting = start(&server, &session, &json!(1), "wait");
    let body = request("tools/call", json!({"name": "wait"})).to_string();
    let mut unpolled = server.start(&session, body).call();
    assert_eq!(server.delete(&session).status, 204);
    assert_eq!(polled(&mut waiting).error(), Some("cancelled"));
    // It waited for the first time after the end.
    let mut out = Vec::new();
    let first = unpolled.poll(&mut TaskContext::from_waker(Waker::noop()), &mut out);
    assert!(first.is_ready() || polled(&mut unpolled).error() == Some("cancelled"));
}

#[test]
fn a_call_out_of_time_is_a_failed_result_that_names_tool_and_limit() {
    let dropped = Arc::default();
    let server = server(&dropped);
    let (headers, body) = modern("tools/call", json!({"name": "wait"}));
    let mut call = server.start(&headers, body.to_string()).call();
    poll_pending(&mut call);
    assert_eq!(call.timeout(), Duration::from_millis(1_500));
    let mut out = Vec::new();
    let answer = call.expire(&mut out);
    let got = Got::new(answer, &out, Vec::new());
    assert_eq!((got.is_error(), got.error()), (true, Some("tool_timeout")));
    assert_eq!(got.content(), "The tool wait did not finish within 1500 ms and was cancelled.");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(got.label.error.unwrap().limit().unwrap().name(), "tool_timeout_ms");
    let call = start(&server, &server.open(LEGACY), &json!(1), "heed");
    assert_eq!(call.timeout(), Duration::from_secs(30), "the default limit");
}

#[test]
fn the_server_may_cancel_and_answer() {
    let server = server(&Arc::default());
    let (headers, body) = modern("tools/call", json!({"name": "stubborn"}));
    let mut call = server.start(&headers, body.to_string()).call();
    poll_pending(&mut call);
    call.cancel();
    poll_pending(&mut call);
    let mut out = Vec::new();
    let answer = call.cancelled_answer(&mut out);
    let got = Got::new(answer, &out, Vec::new());
    assert_eq!((got.status, got.code(), got.error()), (503, -33503, Some("shutting_down")));
    assert_eq!((got.retry_after_s, &got.body()["id"]), (Some(1), &json!(1)));
    // One that heeds it answers for itself.
    let (headers, body) = modern("tools/call", json!({"name": "heed"}));
    let mut call = server.start(&headers, body.to_string()).call();
    poll_pending(&mut call);
    call.cancel();
    assert_eq!(polled(&mut call).content(), "heeded true");
}

#[test]
fn only_older_calls_survive_a_lost_connection() {
    let server = server(&Arc::default());
    let session = server.open(LEGACY);
    assert!(start(&server, &session, &json!(1), "wait").survives_disconnect());
    let (headers, body) = modern("tools/call", json!({"name": "wait"}));
    assert!(!server.start(&headers, body.to_string()).call().survives_disconnect());
}

#[test]
fn a_dropped_call_drops_its_handler_and_tells_what_is_left() {
    let dropped = Arc::default();
    let server = server(&dropped);
    let (headers, body) = modern("tools/call", json!({"name": "wait"}));
    drop(server.start(&headers, body.to_string()).call());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let leak = Tool::new("leak", "", move |_: NoArgs, context: Context| {
        sender.send(context).unwrap();
        std::future::pending::<Result<&str, ringmesh::mcp::CallError>>()
    });
    let server = Server::new(Registry::new().with(leak));
    let (headers, body) = modern("tools/call", json!({"name": "leak"}));
    let call = server.start(&headers, body.to_string()).call();
    let left = receiver.recv().unwrap();
    assert!(!left.is_cancelled());
    drop(call);
    assert!(left.is_cancelled());
    futures_lite::future::block_on(left.cancelled());
}

#[test]
fn a_panic_in_a_destructor_goes_no_further() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let bomb = Tool::new("bomb", "", |_: NoArgs, _: Context| async {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
        Ok("never")
    });
    let server = Server::new(Registry::new().with(bomb));
    let (headers, body) = modern("tools/call", json!({"name": "bomb"}));
    let mut call = server.start(&headers, body.to_string()).call();
    poll_pending(&mut call);
    let mut out = Vec::new();
    assert_eq!(call.expire(&mut out).status, 200);
}
