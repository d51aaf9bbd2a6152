//! Clients of each revision over a socket, as the README shows them.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::collections::BTreeSet;

use common::{Answer, Client, TestServer, call, config, modern, post, text};
use serde_json::{Value, json};

/// Opens a session of an older revision.
fn open(client: &mut Client, revision: &str) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "0" } } });
    let answer = client.ask(post(&body.to_string(), ""));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["result"]["protocolVersion"], revision);
    let session = answer.header("mcp-session-id").expect("a session").to_owned();
    assert!(session.len() >= 32 && session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let accepted = client.ask(post(initialized, &header(&session)));
    assert_eq!((accepted.status, accepted.body.len()), (202, 0));
    session
}

fn header(session: &str) -> String {
    format!("Mcp-Session-Id: {session}\r\n")
}

fn ask(client: &mut Client, session: &str, method: &str, params: Value) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    client.ask(post(&body.to_string(), &header(session)))
}

#[test]
fn a_modern_client_discovers_lists_and_calls() {
    let server = TestServer::start(config());
    let mut client = server.client();
    let discovered = client.ask(modern("d", "server/discover", json!({}))).json();
    assert_eq!(discovered["id"], "d");
    assert_eq!(discovered["result"]["resultType"], "complete");
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&"2026-07-28".into()), "{versions:?}");
    let listed = client.ask(modern(2, "tools/list", json!({}))).json();
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..3], ["echo", "server_status", "p2p_taskqueue_status"]);
    assert!(listed["result"]["ttlMs"].is_u64() && listed["result"]["cacheScope"].is_string());
    let called = client.call("echo", json!({ "message": "grüße \"you\" \n\u{1F980}" })).json();
    assert_eq!(text(&called), "grüße \"you\" \n\u{1F980}");
}

#[test]
fn older_clients_open_a_session_list_call_and_end_it() {
    let server = TestServer::start(config());
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let mut client = server.client();
        let session = open(&mut client, revision);
        assert_eq!(ask(&mut client, &session, "ping", json!({})).json()["result"], json!({}));
        let listed = ask(&mut client, &session, "tools/list", json!({})).json();
        assert_eq!(listed["result"]["tools"][0]["name"], "echo");
        assert!(listed["result"].get("resultType").is_none(), "a word of the new era");
        let called = ask(
            &mut client,
            &session,
            "tools/call",
            json!({ "name": "echo", "arguments": { "message": "hi" } }),
        );
        assert_eq!(text(&called.json()), "hi");
        let end = format!("DELETE /mcp HTTP/1.1\r\nHost: localhost\r\n{}\r\n", header(&session));
        assert_eq!(client.ask(end).status, 204);
        assert_eq!(ask(&mut client, &session, "ping", json!({})).status, 404);
    }
}

#[test]
fn a_session_is_served_by_every_core() {
    let server = TestServer::start(config());
    let session = open(&mut server.client(), "2025-11-25");
    let cores: BTreeSet<u64> = (0..64)
        .map(|_| {
            let answer = ask(
                &mut server.client(),
                &session,
                "tools/call",
                json!({ "name": "server_status", "arguments": {} }),
            );
            answer.json()["result"]["structuredContent"]["core"].as_u64().unwrap()
        })
        .collect();
    let health = server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
    assert_eq!(cores.len(), health["cores"].as_array().unwrap().len(), "every core answered");
}

#[test]
fn a_call_is_cancelled_by_a_notification_on_another_connection() {
    let (registry, fate) = common::tools::registry();
    let server = TestServer::with_tools(config(), registry);
    let session = open(&mut server.client(), "2025-11-25");
    let mut calling = server.client();
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": "linger", "arguments": { "ms": 30_000 } } });
    calling.send(post(&body.to_string(), &header(&session)));
    let started = || fate.started.load(std::sync::atomic::Ordering::SeqCst) == 1;
    common::tools::eventually("the call runs", started);
    // Several connections, so that one lands on another core.
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"enough"}}"#;
    for _ in 0..4 {
        assert_eq!(server.client().ask(post(cancel, &header(&session))).status, 202);
    }
    let dropped = || fate.dropped.load(std::sync::atomic::Ordering::SeqCst) == 1;
    common::tools::eventually("the handler is dropped", dropped);
    assert!(calling.try_answer().is_ok(), "the request's own connection is not left hanging");
}

#[test]
fn an_older_call_runs_on_without_its_client() {
    let (registry, fate) = common::tools::registry();
    let server = TestServer::with_tools(config(), registry);
    let session = open(&mut server.client(), "2025-06-18");
    let mut calling = server.client();
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": "linger", "arguments": { "ms": 300 } } });
    calling.send(post(&body.to_string(), &header(&session)));
    common::tools::eventually("the call runs", || {
        fate.started.load(std::sync::atomic::Ordering::SeqCst) == 1
    });
    drop(calling);
    common::tools::eventually("it finishes", || fate.finished.load(std::sync::atomic::Ordering::SeqCst) == 1);
}

#[test]
fn progress_turns_the_answer_into_a_stream() {
    let (registry, _) = common::tools::registry();
    let server = TestServer::with_tools(config(), registry);
    let mut client = server.client();
    let answer = client.ask(common::call_with_progress("events", json!({ "count": 3, "bytes": 1 })));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    let events = answer.events();
    let progress: Vec<f64> =
        events[..3].iter().map(|event| event["params"]["progress"].as_f64().unwrap()).collect();
    assert_eq!(progress, [1.0, 2.0, 3.0]);
    assert!(events[..3].iter().all(|event| event["params"]["progressToken"] == "p"));
    assert_eq!(text(&events[3]), "sent");
    // Without a token nobody asked, and the answer is plain JSON.
    let plain = client.call("events", json!({ "count": 3, "bytes": 1 }));
    assert_eq!(plain.header("content-type"), Some("application/json"));
}

#[test]
fn hosts_and_origins_are_checked_and_probes_are_not() {
    let server = TestServer::start(config());
    let request = String::from_utf8(call("echo", json!({ "message": "x" }))).unwrap();
    let with = |host: &str, origin: &str| {
        let request = request.replace("Host: localhost\r\n", &format!("Host: {host}\r\n{origin}"));
        server.client().ask(request).status
    };
    assert_eq!(with("localhost", ""), 200);
    assert_eq!(with(&server.addr.to_string(), ""), 200);
    assert_eq!(with("localhost", "Origin: http://localhost:3000\r\n"), 200);
    assert_eq!(with("localhost.evil.com", ""), 403);
    assert_eq!(with("localhost", "Origin: http://evil.com\r\n"), 403);
    assert_eq!(with("localhost", "Origin: null\r\n"), 403);
    for probe in ["/health", "/livez", "/readyz", "/metrics"] {
        let answer =
            server.client().ask(format!("GET {probe} HTTP/1.1\r\nHost: balancer\r\nOrigin: null\r\n\r\n"));
        assert_eq!(answer.status, 200, "{probe}");
        let mut client = server.client();
        let head = client.head(probe, "balancer");
        assert_eq!(head.status, 200);
        assert_ne!(head.header("content-length"), Some("0"));
        assert_eq!(client.head(probe, "balancer").status, 200, "no body came between");
    }
}
