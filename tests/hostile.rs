//! Clients and tools that misbehave: everyone else keeps being served.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Client, TestServer, call, call_with_progress, config, text, tools};
use ringmesh::ServerConfig;
use serde_json::json;

fn start() -> (TestServer, std::sync::Arc<tools::Fate>) {
    let (registry, fate) = tools::registry();
    (TestServer::with_tools(config(), registry), fate)
}

fn echoes(server: &TestServer) {
    assert_eq!(text(&server.client().call("echo", json!({ "message": "fine" })).json()), "fine");
}

#[test]
fn a_tool_that_panics_costs_one_answer() {
    let (server, _) = start();
    for tool in ["panic", "panic_later"] {
        let mut client = server.client();
        let answer = client.call(tool, json!({}));
        let error = answer.json();
        assert_eq!(error["error"]["code"], -32603, "{error}");
        assert_eq!(error["id"], 1);
        assert!(!answer.text().contains("always does"), "the panic's words stay in the log");
        // The same connection serves on.
        assert_eq!(text(&client.call("echo", json!({ "message": "on" })).json()), "on");
    }
    let metrics = server.client().ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(metrics.text().contains(r#"error_type="panic""#), "{}", metrics.text());
}

#[test]
fn a_client_that_vanishes_cancels_its_call() {
    let (server, fate) = start();
    let mut client = server.client();
    client.send(call("linger", json!({ "ms": 30_000 })));
    tools::eventually("the call runs", || fate.started.load(Ordering::SeqCst) == 1);
    drop(client);
    tools::eventually("the handler is dropped", || fate.dropped.load(Ordering::SeqCst) == 1);
    assert_eq!(fate.finished.load(Ordering::SeqCst), 0);
    echoes(&server);
}

#[test]
fn a_client_that_half_closes_with_a_request_in_flight_is_gone() {
    let (server, fate) = start();
    let mut client = server.client();
    client.send(call("linger", json!({ "ms": 30_000 })));
    tools::eventually("the call runs", || fate.started.load(Ordering::SeqCst) == 1);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    tools::eventually("the handler is dropped", || fate.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_client_that_half_closes_gets_what_it_asked_for() {
    let (server, _) = start();
    let mut client = server.client();
    client.send(call("big", json!({ "count": 0, "bytes": 1_000_000 })));
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(text(&client.answer().json()).len(), 1_000_000);
    assert!(client.is_closed());
}

#[test]
fn a_request_that_ends_in_its_middle_is_told_so() {
    let (server, _) = start();
    for part in ["POST /mcp HT", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"] {
        let mut client = server.client();
        client.send(part);
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = client.answer();
        assert_eq!((answer.status, answer.code().as_str()), (400, "incomplete_request"));
    }
}

#[test]
fn a_cancelled_stream_of_an_older_client_leaves_its_core_alone() {
    let (server, _) = start();
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } } });
    let opened = server.client().ask(common::post(&body.to_string(), ""));
    let session = format!("Mcp-Session-Id: {}\r\n", opened.header("mcp-session-id").unwrap());
    let mut client = server.client();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "events",
        "arguments": { "count": 100_000_000, "bytes": 10 }, "_meta": { "progressToken": "p" } } });
    client.send(common::post(&body.to_string(), &session));
    std::thread::sleep(Duration::from_millis(100));
    drop(client);
    for _ in 0..20 {
        echoes(&server);
    }
}

#[test]
fn a_burst_of_events_larger_than_the_queue_arrives_at_once() {
    let (registry, _) = tools::registry();
    let mut config = config();
    config.limits.max_stream_queue_bytes = 1024;
    let server = TestServer::with_tools(config, registry);
    let begun = Instant::now();
    let answer = server.client().ask(call_with_progress("events", json!({ "count": 50, "bytes": 95 })));
    assert_eq!(answer.events().len(), 51);
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing waited for a keep-alive");
}

#[test]
fn a_tool_that_spins_blocks_its_core_alone_and_is_named() {
    let (registry, _) = tools::registry();
    let config = ServerConfig { stall_threshold_ms: 200, ..config() };
    let server = TestServer::with_tools(config, registry);
    let cores = server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json()["cores"]
        .as_array()
        .unwrap()
        .len();
    let mut spinning = server.client();
    spinning.send(call("spin", json!({ "ms": 1500 })));
    std::thread::sleep(Duration::from_millis(600));
    if cores > 1 {
        // Some connections land on the other core; it answers while this one is blocked.
        let begun = Instant::now();
        let mut answered = 0;
        while answered == 0 && begun.elapsed() < Duration::from_millis(800) {
            let mut client = server.client();
            client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            client.try_send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
            if let Ok(live) = client.try_answer() {
                answered += 1;
                assert_eq!(live.status, 503, "{live:?}");
                assert!(live.text().contains("spin"), "the tool is named: {}", live.text());
            }
        }
        assert!(answered > 0, "the other core went on");
    }
    assert_eq!(text(&spinning.answer().json()), "spun");
    tools::eventually("the core is well again", || {
        server.client().ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    });
    let metrics = server.client().ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let stalls = metrics
        .text()
        .lines()
        .find(|line| line.starts_with("ringmesh_core_stalls_total") && !line.ends_with(" 0"));
    assert!(stalls.is_some(), "{}", metrics.text());
}

#[test]
fn a_slow_reader_gets_every_event_in_order() {
    let (server, _) = start();
    let mut client = server.client();
    client.send(call_with_progress("events", json!({ "count": 2_000, "bytes": 1_000 })));
    std::thread::sleep(Duration::from_millis(300));
    echoes(&server);
    let answer = client.answer();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events = answer.events();
    assert_eq!(events.len(), 2_001);
    for (at, event) in events[..2_000].iter().enumerate() {
        assert_eq!(event["params"]["progress"].as_f64(), Some(at as f64 + 1.0));
    }
    assert_eq!(text(&events[2_000]), "sent");
    assert_eq!(client.call("echo", json!({ "message": "next" })).status, 200);
}

#[test]
fn a_thousand_open_connections_are_all_served() {
    let (server, _) = start();
    let mut clients: Vec<Client> = (0..1_000).map(|_| server.client()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send(call("echo", json!({ "message": "x" })));
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
    }
}

#[test]
fn bytes_that_are_no_http_are_answered_and_closed() {
    let (server, _) = start();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x13/multistream/1.0.0\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut client = server.client();
        client.try_send(garbage);
        client.try_send(b"\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(client.is_closed());
    }
    echoes(&server);
}

#[test]
fn pipelined_requests_are_answered_in_order_with_few_writes() {
    let (server, _) = start();
    let mut client = server.client();
    let requests: Vec<u8> = (0..64)
        .flat_map(|at| {
            common::modern(
                at,
                "tools/call",
                json!({ "name": "echo", "arguments": { "message": at.to_string() } }),
            )
        })
        .collect();
    client.send(requests);
    for at in 0..64 {
        let answer = client.answer().json();
        assert_eq!((answer["id"].as_i64(), text(&answer)), (Some(at), at.to_string().as_str()));
    }
}

#[test]
fn many_clients_that_send_one_byte_a_time_starve_nobody() {
    let (server, _) = start();
    let request = call("echo", json!({ "message": "drip" }));
    let mut drips: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for at in 0..request.len() {
        for client in &mut drips {
            client.send(&request[at..=at]);
        }
        if at % 100 == 0 {
            echoes(&server);
        }
    }
    for client in &mut drips {
        assert_eq!(text(&client.answer().json()), "drip");
    }
}

#[test]
fn large_answers_reach_a_reader_that_pauses() {
    let (server, _) = start();
    let mut client = server.client();
    client.send(call("big", json!({ "count": 0, "bytes": 8_000_000 })));
    std::thread::sleep(Duration::from_millis(200));
    echoes(&server);
    assert_eq!(text(&client.answer().json()).len(), 8_000_000);
}

#[test]
fn resets_in_every_state_leave_no_connection_behind() {
    let (server, _) = start();
    let request = call("echo", json!({ "message": "x" }));
    for cut in [0, 1, 20, request.len() / 2, request.len() - 1, request.len()] {
        for _ in 0..20 {
            let mut client = server.client();
            client.try_send(&request[..cut]);
            let _ = client.stream.set_nonblocking(true);
            let _ = client.stream.read(&mut [0; 1]);
            let _ = client.stream.flush();
        }
    }
    tools::eventually("all are closed", || {
        let health = server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
        health["connections"].as_u64() == Some(1)
    });
}
