//! Each limit is hit from outside: it answers clearly, names itself, shows in the metrics, and costs nobody else.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::time::{Duration, Instant};

use common::{Answer, Client, TestServer, call, config, modern, post, text, tools};
use ringmesh::ServerConfig;
use serde_json::json;

fn limited(set: impl FnOnce(&mut ringmesh::limits::Limits)) -> ServerConfig {
    let mut config = config();
    set(&mut config.limits);
    config
}

/// Asks for the metrics and returns the hits of one limit.
fn hits(server: &TestServer, limit: &str) -> u64 {
    let metrics = server.client().ask("GET /metrics HTTP/1.1\r\nHost: any\r\n\r\n");
    let name = format!("ringmesh_limit_hits_total{{limit=\"{limit}\"}} ");
    let line = metrics.text().lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| {
        panic!("no {name} in {}", metrics.text());
    });
    line[name.len()..].parse::<f64>().unwrap() as u64
}

fn assert_limit(server: &TestServer, answer: &Answer, status: u16, limit: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["error"]["limit"], limit, "{answer:?}");
    assert!(hits(server, limit) >= 1);
    still_serves(server);
}

fn still_serves(server: &TestServer) {
    let answer = server.client().call("echo", json!({ "message": "still here" }));
    assert_eq!(text(&answer.json()), "still here");
}

#[test]
fn head_bytes() {
    let server = TestServer::start(limited(|limits| limits.max_head_bytes = 1024));
    let answer = server
        .client()
        .ask(format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(2000)));
    assert_limit(&server, &answer, 431, "max_head_bytes");
}

#[test]
fn headers() {
    let server = TestServer::start(limited(|limits| limits.max_headers = 10));
    let many = "X-Some: y\r\n".repeat(20);
    let answer = server.client().ask(format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"));
    assert_limit(&server, &answer, 431, "max_headers");
}

#[test]
fn body_bytes_announced_and_chunked() {
    let server = TestServer::start(limited(|limits| limits.max_body_bytes = 2048));
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let answer = server.client().ask(format!("{head}Content-Length: 999999\r\n\r\n"));
    assert_limit(&server, &answer, 413, "max_body_bytes");
    let mut client = server.client();
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
    client.try_send(format!("800\r\n{}\r\n800\r\n{}\r\n0\r\n\r\n", "x".repeat(2048), "x".repeat(2048)));
    assert_limit(&server, &client.answer(), 413, "max_body_bytes");
}

#[test]
fn connections() {
    let server = TestServer::start(limited(|limits| limits.max_connections = 3));
    let mut held: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &mut held {
        assert_eq!(client.call("echo", json!({ "message": "in" })).status, 200);
    }
    let refused = server.client().answer();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"]["limit"], "max_connections");
    assert_eq!(held[0].call("echo", json!({ "message": "unharmed" })).status, 200);
    held.pop();
    tools::eventually("the freed place is taken", || {
        let mut client = server.client();
        client.try_send(call("echo", json!({ "message": "x" })));
        client.try_answer().is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn inflight_requests() {
    let (registry, fate) = tools::registry();
    let server = TestServer::with_tools(limited(|limits| limits.max_inflight_requests = 1), registry);
    let mut first = server.client();
    first.send(call("linger", json!({ "ms": 1000 })));
    tools::eventually("the first call runs", || fate.started.load(std::sync::atomic::Ordering::SeqCst) == 1);
    let refused = server.client().call("echo", json!({ "message": "x" }));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    let error = refused.json();
    assert_eq!((&error["error"]["code"], &error["id"]), (&json!(-33503), &json!(1)), "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("max_inflight_requests"), "{error}");
    // What starts no handler is still served.
    assert_eq!(server.client().ask(modern(2, "tools/list", json!({}))).status, 200);
    assert_eq!(text(&first.answer().json()), "stayed");
    assert!(hits(&server, "max_inflight_requests") >= 1);
    still_serves(&server);
}

#[test]
fn buffered_bytes() {
    let server = TestServer::start(limited(|limits| limits.max_buffered_bytes = 2 << 20));
    let head = |length: usize| {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut held: Vec<Client> = Vec::new();
    let mut refused = None;
    for _ in 0..8 {
        let mut client = server.client();
        client.send(head(400_000));
        client.try_send(vec![b' '; 300_000]);
        client.stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        match client.try_answer() {
            Ok(answer) => refused = Some(answer),
            Err(_) => held.push(client),
        }
    }
    let refused = refused.expect("the budget holds fewer than eight such bodies");
    assert!(held.len() >= 2, "the budget holds more than one such body");
    assert_eq!(refused.json()["error"]["limit"], "max_buffered_bytes");
    drop(held);
    assert_limit(&server, &refused, 503, "max_buffered_bytes");
}

#[test]
fn buffered_bytes_of_answers_that_nobody_reads() {
    let (registry, _) = tools::registry();
    let server = TestServer::with_tools(limited(|limits| limits.max_buffered_bytes = 2 << 20), registry);
    // More than the sockets' own buffers take, so that most of it stays with the server.
    let mut slow = server.client();
    slow.send(call("big", json!({ "count": 0, "bytes": 16 << 20 })));
    tools::eventually("the budget is used up", || {
        server.client().call("echo", json!({ "message": "x" })).status == 503
    });
    let refused = server.client().call("echo", json!({ "message": "x" }));
    assert_eq!(refused.json()["error"]["limit"], "max_buffered_bytes", "{refused:?}");
    assert_eq!(text(&slow.answer().json()).len(), 16 << 20, "the slow reader loses nothing");
    tools::eventually("what was read is given back", || {
        server.client().call("echo", json!({ "message": "x" })).status == 200
    });
}

#[test]
fn header_time() {
    let server = TestServer::start(limited(|limits| limits.header_timeout_ms = 200));
    let mut client = server.client();
    client.send("GET /mcp HT");
    let begun = Instant::now();
    // A byte now and then does not keep a head alive.
    for byte in ["T", "P", "/"] {
        std::thread::sleep(Duration::from_millis(50));
        client.try_send(byte);
    }
    let answer = client.answer();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_limit(&server, &answer, 408, "header_timeout_ms");
    assert!(client.is_closed());
}

#[test]
fn body_time() {
    let server = TestServer::start(limited(|limits| limits.body_timeout_ms = 200));
    let mut client = server.client();
    client.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{");
    let answer = client.answer();
    assert_limit(&server, &answer, 408, "body_timeout_ms");
    assert!(client.is_closed());
}

#[test]
fn idle_time() {
    let server = TestServer::start(limited(|limits| limits.idle_timeout_ms = 200));
    let mut client = server.client();
    assert_eq!(client.call("echo", json!({ "message": "x" })).status, 200);
    assert!(client.is_closed(), "closed without a word");
    assert!(hits(&server, "idle_timeout_ms") >= 1);
}

#[test]
fn json_depth() {
    let server = TestServer::start(limited(|limits| limits.max_json_depth = 16));
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{deep}}}"#);
    let answer = server.client().ask(post(&body, ""));
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("max_json_depth"), "{answer:?}");
    assert!(hits(&server, "max_json_depth") >= 1);
    still_serves(&server);
}

#[test]
fn tool_time() {
    let (registry, fate) = tools::registry();
    let server = TestServer::with_tools(limited(|limits| limits.tool_timeout_ms = 100), registry);
    let answer = server.client().call("linger", json!({ "ms": 60_000 }));
    let result = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(result["result"]["isError"], true, "{result}");
    assert!(text(&result).contains("linger") && text(&result).contains("100 ms"), "{result}");
    tools::eventually("the handler is dropped", || {
        fate.dropped.load(std::sync::atomic::Ordering::SeqCst) == 1
    });
    assert!(hits(&server, "tool_timeout_ms") >= 1);
}

#[test]
fn tool_time_with_a_full_stream() {
    let (registry, _) = tools::registry();
    let config = limited(|limits| {
        limits.tool_timeout_ms = 300;
        limits.max_stream_queue_bytes = 4096;
    });
    let server = TestServer::with_tools(config, registry);
    let mut slow = server.client();
    // It has far more to send than anybody reads in its time.
    slow.send(common::call_with_progress("events", json!({ "count": 1_000_000, "bytes": 1_000 })));
    std::thread::sleep(Duration::from_millis(700));
    let events = slow.answer().events();
    let last = events.last().unwrap();
    assert_eq!(last["result"]["isError"], true, "{last}");
    assert!(text(last).contains("300 ms"), "{last}");
    still_serves(&server);
}

#[test]
fn write_time_and_stream_queue() {
    let (registry, _) = tools::registry();
    let server = TestServer::with_tools(limited(|limits| limits.write_timeout_ms = 300), registry);
    let mut slow = server.client();
    // Far more than the socket buffers hold, and nobody reads it.
    let params = json!({ "name": "events", "arguments": { "count": 10_000, "bytes": 10_000 },
        "_meta": { "progressToken": "p" } });
    slow.send(modern(1, "tools/call", params));
    tools::eventually("the slow reader is given up", || hits(&server, "write_timeout_ms") >= 1);
    still_serves(&server);
}

#[test]
fn blocking_queue() {
    let (registry, _) = tools::registry();
    let config = limited(|limits| {
        limits.max_blocking_threads = 1;
        limits.max_blocking_queue = 1;
    });
    let server = TestServer::with_tools(config, registry);
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(call("block", json!({ "ms": 400 })));
    }
    let answers: Vec<Answer> = clients.iter_mut().map(Client::answer).collect();
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!((done, refused.len()), (2, 2), "{answers:?}");
    assert_eq!(refused[0].header("retry-after"), Some("1"));
    assert!(hits(&server, "max_blocking_queue") >= 2);
}

#[test]
fn sessions() {
    let config = limited(|limits| {
        limits.max_sessions = 2;
    });
    let (registry, fate) = tools::registry();
    let server = TestServer::with_tools(config, registry);
    let open = || {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } } });
        let mut client = server.client();
        let answer = client.ask(post(&body.to_string(), ""));
        (client, answer)
    };
    let mut busy = Vec::new();
    for _ in 0..2 {
        let (mut client, answer) = open();
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = format!("Mcp-Session-Id: {}\r\n", answer.header("mcp-session-id").unwrap());
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(client.ask(post(initialized, &session)).status, 202);
        let linger = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"linger","arguments":{"ms":1500}}}"#;
        client.send(post(linger, &session));
        busy.push(client);
    }
    tools::eventually("both calls run", || fate.started.load(std::sync::atomic::Ordering::SeqCst) == 2);
    let (_, refused) = open();
    assert_eq!(refused.status, 503, "sessions with a request in flight are not evicted: {refused:?}");
    assert!(refused.text().contains("max_sessions"), "{refused:?}");
    assert!(hits(&server, "max_sessions") >= 1);
    for client in &mut busy {
        assert_eq!(text(&client.answer().json()), "stayed");
    }
    assert_eq!(open().1.status, 200, "now an idle one makes room");
}

#[test]
fn read_ahead_bytes() {
    let (registry, fate) = tools::registry();
    let server = TestServer::with_tools(limited(|limits| limits.max_read_ahead_bytes = 4096), registry);
    let mut client = server.client();
    client.send(call("linger", json!({ "ms": 400 })));
    tools::eventually("the call runs", || fate.started.load(std::sync::atomic::Ordering::SeqCst) == 1);
    let ahead = call("echo", json!({ "message": "x".repeat(1000) }));
    for _ in 0..50 {
        client.send(&ahead);
    }
    assert_eq!(text(&client.answer().json()), "stayed");
    for _ in 0..50 {
        assert_eq!(text(&client.answer().json()).len(), 1000, "what was not read ahead is read later");
    }
    assert!(hits(&server, "max_read_ahead_bytes") >= 1);
}

#[test]
fn keep_alive_time() {
    let (registry, _) = tools::registry();
    let server = TestServer::with_tools(limited(|limits| limits.sse_keepalive_ms = 100), registry);
    let mut client = server.client();
    client.send(common::call_with_progress("hum", json!({ "ms": 1000 })));
    let answer = client.answer();
    let comments = answer.text().lines().filter(|line| line.starts_with(':')).count();
    assert!((2..=12).contains(&comments), "{comments} comments in {}", answer.text());
    assert_eq!(text(answer.events().last().unwrap()), "hummed");
}

#[test]
fn probe_connections() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = limited(|limits| {
        limits.max_connections = 1;
        limits.max_probe_connections = 2;
    });
    config.probe_listen = Some(free);
    let server = TestServer::start(config);
    let probe = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut held = server.client();
    let misplaced = held.ask(probe.replace("Host: x", "Host: localhost"));
    assert_eq!(misplaced.status, 404, "the probes have an address of their own");
    assert_eq!(server.client().answer().status, 503, "the server is full");
    let mut probes: Vec<Client> = (0..2).map(|_| Client::connect(free)).collect();
    for client in &mut probes {
        assert_eq!(client.ask(probe).status, 200, "and still says that it lives");
    }
    assert_eq!(probes[0].ask(call("echo", json!({ "message": "x" }))).status, 404, "but nothing else");
    let refused = Client::connect(free).answer();
    assert_eq!(
        (refused.status, refused.json()["error"]["limit"].as_str()),
        (503, Some("max_probe_connections"))
    );
    let metrics = probes[1].ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(metrics.text().contains("ringmesh_limit_hits_total{limit=\"max_probe_connections\"} 1"));
}
