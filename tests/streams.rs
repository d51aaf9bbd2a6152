//! The streams of sessions, over sockets: GET in the revisions before 2026-07-28.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::time::{Duration, Instant};

use common::events::{EventClient, Session, metric};
use common::tools::{Nothing, eventually};
use common::{Client, TestServer, config};
use ringmesh::{CallError, Context, Registry, Resource};
use serde_json::json;

const OLDER: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

async fn change_tools(_: Nothing, context: Context) -> Result<&'static str, CallError> {
    context.registry().tools_changed();
    Ok("told")
}

async fn update(_: Nothing, context: Context) -> Result<&'static str, CallError> {
    context.registry().resource_updated("test://watched");
    Ok("told")
}

fn registry() -> Registry {
    let watched = Resource::text("test://watched", "watched", "");
    let tools = common::tools::registry().0.dynamic().resource(watched);
    tools.tool("change_tools", "", change_tools).tool("update", "", update)
}

fn server() -> TestServer {
    TestServer::with_tools(config(), registry())
}

/// Skips the event that primes the client.
fn primed(mut stream: EventClient, revision: &str) -> EventClient {
    if revision == "2025-11-25" {
        let priming = stream.event();
        assert_eq!((priming.data.as_str(), priming.retry_ms), ("", Some(1_000)));
        assert!(priming.id.is_some());
    }
    stream
}

#[test]
fn changes_reach_the_sessions_stream_once_each() {
    let server = server();
    for revision in OLDER {
        let session = Session::open(server.addr, revision);
        let mut stream = primed(session.stream(), revision);
        for _ in 0..2 {
            assert_eq!(session.ask(1, "tools/call", json!({"name": "change_tools"})).status, 200);
            assert_eq!(stream.event().method(), "notifications/tools/list_changed");
        }
        // Nobody subscribed to the resource yet.
        session.ask(2, "tools/call", json!({"name": "update"}));
        let uri = json!({"uri": "test://watched"});
        assert_eq!(session.ask(3, "resources/subscribe", uri.clone()).json()["result"], json!({}));
        session.ask(4, "tools/call", json!({"name": "update"}));
        let event = stream.event();
        assert_eq!(event.json()["params"], uri, "{revision}");
        assert!(event.id.is_some());
        assert_eq!(session.ask(5, "resources/unsubscribe", uri).json()["result"], json!({}));
        session.ask(6, "tools/call", json!({"name": "update"}));
        assert!(stream.is_quiet(Duration::from_millis(50)));
        assert_eq!(session.delete(), 204);
        assert_eq!(stream.rest(), [], "the end of the session is the end of its stream");
    }
}

#[test]
fn what_a_sessions_stream_keeps_is_bounded() {
    for is_process in [false, true] {
        let mut config = config();
        let limits = &mut config.limits;
        *(if is_process { &mut limits.max_replay_bytes } else { &mut limits.max_session_replay_bytes }) =
            2_000;
        let server = TestServer::with_tools(config, registry());
        let session = Session::open(server.addr, "2025-06-18");
        let mut stream = session.stream();
        let first = {
            session.ask(0, "tools/call", json!({"name": "change_tools"}));
            stream.event()
        };
        for id in 1..50 {
            session.ask(id, "tools/call", json!({"name": "change_tools"}));
            assert_eq!(stream.event().method(), "notifications/tools/list_changed");
        }
        let bytes = metric(server.addr, "ringmesh_replay_bytes");
        assert!((1_000.0..2_200.0).contains(&bytes), "{bytes}");
        assert_eq!(Client::connect(server.addr).ask(session.get(first.id.as_deref())).status, 400);
    }
}

#[test]
fn a_change_on_one_stream_is_not_on_another() {
    let (server, handle) = {
        let server = server();
        let session = Session::open(server.addr, "2025-11-25");
        (server, session)
    };
    let session = handle;
    let mut own = primed(session.stream(), "2025-11-25");
    // A call's stream is open at the same time.
    let mut call = EventClient::open(server.addr, session.call(1, "hum", json!({"ms": 300})));
    session.ask(2, "tools/call", json!({"name": "change_tools"}));
    assert_eq!(own.event().method(), "notifications/tools/list_changed");
    let methods: Vec<String> = call.rest().iter().map(|event| event.method()).collect();
    assert_eq!(methods, ["", "notifications/progress", ""]);
    assert!(own.is_quiet(Duration::from_millis(50)));
}

#[test]
fn a_second_stream_is_refused_while_the_first_lives() {
    let server = server();
    let session = Session::open(server.addr, "2025-06-18");
    let first = session.stream();
    for _ in 0..4 {
        let answer = Client::connect(server.addr).ask(session.get(None));
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (409, Some(-33409)));
    }
    drop(first);
    eventually("the first is gone", || metric(server.addr, "ringmesh_event_streams_open") == 0.0);
    drop(session.stream());
}

#[test]
fn bad_requests_for_a_stream_are_told_why() {
    let server = server();
    let session = Session::open(server.addr, "2025-11-25");
    let ask = |request: String| Client::connect(server.addr).ask(request);
    let get = |headers: &str| ask(format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
    let id = format!("Mcp-Session-Id: {}\r\n", session.id);
    let events = "Accept: text/event-stream\r\n";
    assert_eq!(get(&id).status, 406);
    assert_eq!(get(events).status, 400);
    assert_eq!(get(&format!("{events}Mcp-Session-Id: x\r\n")).status, 404);
    assert_eq!(get(&format!("{events}{id}MCP-Protocol-Version: 2025-06-18\r\n")).status, 400);
    assert_eq!(get(&format!("{events}{id}Last-Event-ID: 1\r\n")).status, 400);
    assert_eq!(get(&format!("{events}{id}Origin: http://evil.example\r\n")).status, 403);
    let modern = get(&format!("{events}MCP-Protocol-Version: 2026-07-28\r\n"));
    assert_eq!((modern.status, modern.header("allow")), (405, Some("POST")));
    assert_eq!(metric(server.addr, "ringmesh_event_streams_open"), 0.0);
}

#[test]
fn shutdown_ends_the_streams_of_sessions_at_once() {
    let mut config = config();
    config.shutdown_grace_ms = 8_000;
    let server = TestServer::with_tools(config, registry());
    let sessions: Vec<Session> = OLDER.iter().map(|revision| Session::open(server.addr, revision)).collect();
    let mut streams: Vec<_> =
        sessions.iter().zip(OLDER).map(|(session, revision)| primed(session.stream(), revision)).collect();
    let begun = Instant::now();
    server.handle.stop();
    for stream in &mut streams {
        assert_eq!(stream.rest(), []);
    }
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn shutdown_waits_for_the_answer_on_a_calls_stream() {
    let server = server();
    let session = Session::open(server.addr, "2025-11-25");
    let mut call = EventClient::open(server.addr, session.call(1, "hum", json!({"ms": 700})));
    assert_eq!(
        (call.event().data, call.event().method().as_str()),
        (String::new(), "notifications/progress")
    );
    server.handle.stop();
    let last = call.event().json();
    assert_eq!((&last["id"], &last["result"]["content"][0]["text"]), (&json!(1), &json!("hummed")));
    assert_eq!(call.rest(), []);
    server.stop().unwrap();
}

#[test]
fn a_shutdown_that_cannot_wait_cancels_the_call_and_says_so() {
    let mut config = config();
    config.shutdown_grace_ms = 300;
    let server = TestServer::with_tools(config, registry());
    let session = Session::open(server.addr, "2025-11-25");
    let mut call = EventClient::open(server.addr, session.call(1, "hum", json!({"ms": 20_000})));
    assert_eq!(
        (call.event().data, call.event().method().as_str()),
        (String::new(), "notifications/progress")
    );
    let begun = Instant::now();
    server.handle.stop();
    assert_eq!(call.event().json()["error"]["code"], -33503);
    assert_eq!(call.rest(), []);
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn streams_that_come_and_go_leave_nothing() {
    let server = server();
    let resident = || metric(server.addr, "process_resident_memory_bytes");
    let churn = || {
        for _ in 0..50 {
            let session = Session::open(server.addr, "2025-11-25");
            let mut stream = session.stream();
            stream.event();
            let mut call = EventClient::open(
                server.addr,
                session.call(1, "events", json!({"count": 20, "bytes": 2_000})),
            );
            assert_eq!(call.rest().len(), 22);
            assert_eq!(session.delete(), 204);
            assert_eq!(stream.rest(), []);
        }
    };
    churn();
    let before = resident();
    churn();
    churn();
    let after = resident();
    assert_eq!(metric(server.addr, "ringmesh_event_streams_open"), 0.0);
    assert_eq!(metric(server.addr, "ringmesh_replay_bytes"), 0.0);
    assert_eq!(metric(server.addr, "ringmesh_sessions_open"), 0.0);
    // What these 100 sessions sent alone is 4 MB.
    assert!(after - before < 2.5e6, "{before} {after}");
}

#[test]
fn batches_stream_over_one_connection() {
    let server = server();
    let session = Session::open(server.addr, "2025-03-26");
    let call = |id: u64, tool: &str, arguments: serde_json::Value| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments, "_meta": { "progressToken": id } } })
    };
    let plain = json!([call(1, "sleep", json!({"ms": 50})), call(2, "sleep", json!({"ms": 50}))]);
    let begun = Instant::now();
    let answer = Client::connect(server.addr).ask(session.post(&plain.to_string()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answers = answer.json();
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!(2)));
    assert!(begun.elapsed() < Duration::from_millis(5_000));
    let streaming =
        json!([call(1, "hum", json!({"ms": 100})), call(2, "big", json!({"count": 1, "bytes": 5}))]);
    let mut stream = EventClient::open(server.addr, session.post(&streaming.to_string()));
    let events = stream.rest();
    assert!(events.iter().all(|event| event.id.is_some()), "{events:?}");
    let methods: Vec<String> = events.iter().map(|event| event.method()).collect();
    assert_eq!(methods, ["notifications/progress", "", ""]);
    let answered: Vec<_> = events[1..].iter().map(|event| event.json()["id"].clone()).collect();
    assert_eq!(answered, [json!(2), json!(1)]);
    // Resuming brings the rest of it.
    let rest = session.resume(events[0].id.as_deref().unwrap()).rest();
    assert_eq!(rest, events[1..]);
    assert!(
        metric(server.addr, r#"mcp_server_operation_duration_seconds_count{mcp_method_name="tools/call"}"#)
            >= 4.0
    );
}
