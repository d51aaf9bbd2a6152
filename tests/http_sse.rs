//! The HTTP+SSE transport of 2024-11-05, over sockets: GET `/sse` and POST to the address it names.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::events::{EventClient, metric};
use common::tools::{Nothing, eventually};
use common::{Answer, Client, TestServer, config, text};
use ringmesh::{CallError, Context, ServerConfig};
use serde_json::{Value, json};

async fn change_tools(_: Nothing, context: Context) -> Result<&'static str, CallError> {
    context.registry().tools_changed();
    Ok("told")
}

fn start(change: impl FnOnce(&mut ServerConfig)) -> TestServer {
    let mut config = config();
    change(&mut config);
    let registry = common::tools::registry().0.dynamic().tool("change_tools", "", change_tools);
    TestServer::with_tools(config, registry)
}

const GET: &str = "GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// An open stream and the address to post to.
struct Peer {
    addr: SocketAddr,
    stream: EventClient,
    endpoint: String,
}

impl Peer {
    fn open(addr: SocketAddr) -> Peer {
        let mut stream = EventClient::open(addr, GET);
        let first = stream.event();
        assert_eq!(first.name.as_deref(), Some("endpoint"));
        assert!(first.data.starts_with("/messages?sessionId="), "{first:?}");
        Peer { addr, stream, endpoint: first.data }
    }

    fn initialized(addr: SocketAddr, version: &str) -> Peer {
        let mut peer = Peer::open(addr);
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } });
        let answer = peer.ask(0, "initialize", params);
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(peer.post(&initialized).status, 202);
        peer
    }

    fn post(&self, message: &Value) -> Answer {
        post(self.addr, &self.endpoint, &message.to_string())
    }

    fn send(&self, id: u64, method: &str, params: Value) {
        let answer = self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{answer:?}");
    }

    /// The next message on the stream.
    fn message(&mut self) -> Value {
        let event = self.stream.event();
        assert!(event.id.is_none() && event.retry_ms.is_none() && event.name.is_none(), "{event:?}");
        event.json()
    }

    fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(id, method, params);
        let answer = self.message();
        assert_eq!(answer["id"], id);
        answer
    }
}

fn post(addr: SocketAddr, target: &str, body: &str) -> Answer {
    // What clients of that time send: no Accept, no version.
    Client::connect(addr).ask(format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn call(tool: &str, arguments: Value) -> Value {
    json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": 1 } })
}

#[test]
fn a_client_of_2024_initializes_lists_and_calls() {
    let server = start(|_| {});
    for version in ["2024-11-05", "2025-03-26", "2025-11-25"] {
        let mut peer = Peer::initialized(server.addr, version);
        assert_eq!(peer.ask(1, "ping", json!({}))["result"], json!({}));
        assert!(peer.ask(2, "tools/list", json!({}))["result"]["tools"].is_array());
        assert_eq!(text(&peer.ask(3, "tools/call", call("echo", json!({ "message": "hi" })))), "hi");
        assert_eq!(peer.ask(4, "tools/call", call("lost", json!({})))["error"]["code"], -32602);
        peer.send(5, "tools/call", call("hum", json!({ "ms": 50 })));
        assert_eq!(peer.message()["method"], "notifications/progress");
        assert_eq!(text(&peer.message()), "hummed");
    }
    eventually("the sessions ended with their streams", || {
        metric(server.addr, "ringmesh_sessions_open") == 0.0
    });
    assert_eq!(metric(server.addr, "ringmesh_event_streams_open"), 0.0);
    assert_eq!(metric(server.addr, "ringmesh_replay_bytes"), 0.0);
}

#[test]
fn calls_run_side_by_side_and_can_be_cancelled() {
    let server = start(|_| {});
    let mut peer = Peer::initialized(server.addr, "2024-11-05");
    peer.send(1, "tools/call", call("sleep", json!({ "ms": 20_000 })));
    peer.send(2, "tools/call", call("sleep", json!({ "ms": 10 })));
    assert_eq!(peer.message()["id"], 2);
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(peer.post(&cancel).status, 202);
    let cancelled = peer.message();
    assert_eq!((&cancelled["id"], &cancelled["error"]["code"]), (&json!(1), &json!(-33499)));
}

#[test]
fn changes_are_told_on_the_stream() {
    let server = start(|_| {});
    let mut early = Peer::open(server.addr);
    let mut peer = Peer::initialized(server.addr, "2024-11-05");
    peer.send(1, "tools/call", call("change_tools", json!({})));
    let mut messages = [peer.message(), peer.message()];
    messages.sort_by_key(|message| message["id"].is_u64());
    assert_eq!(messages[0]["method"], "notifications/tools/list_changed");
    assert_eq!(text(&messages[1]), "told");
    assert!(early.stream.is_quiet(Duration::from_millis(50)), "nothing before there is a session");
}

#[test]
fn a_lost_stream_cancels_what_runs() {
    let server = start(|_| {});
    let peer = Peer::initialized(server.addr, "2024-11-05");
    peer.send(1, "tools/call", call("sleep", json!({ "ms": 20_000 })));
    eventually("it runs", || metric(server.addr, "ringmesh_sessions_open") == 1.0);
    let endpoint = peer.endpoint.clone();
    drop(peer);
    eventually("the call has ended", || {
        metric(server.addr, r#"ringmesh_tool_duration_seconds_count{gen_ai_tool_name="sleep"}"#) == 1.0
    });
    assert_eq!(post(server.addr, &endpoint, "{}").status, 404);
}

#[test]
fn bad_messages_are_told_why() {
    let server = start(|_| {});
    let mut peer = Peer::open(server.addr);
    assert_eq!(peer.ask(1, "tools/list", json!({}))["error"]["code"], -32600, "initialize comes first");
    let status = |body: &str| post(server.addr, &peer.endpoint, body).status;
    assert_eq!(
        (status("{"), status("[]"), status("1"), status(r#"{"jsonrpc":"1.0"}"#)),
        (400, 400, 400, 400)
    );
    for target in
        ["/messages", "/messages?sessionId=x", "/messages?sessionId=00000000000000000000000000000000"]
    {
        assert_eq!(post(server.addr, target, "{}").status, 404, "{target}");
    }
    let ask = |request: &str| server.client().ask(request);
    assert_eq!(ask("GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n").status, 406);
    let wrong = ask("DELETE /sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, OPTIONS")));
    assert_eq!(
        ask("GET /messages HTTP/1.1\r\nHost: localhost\r\n\r\n").header("allow"),
        Some("POST, OPTIONS")
    );
    let text = format!("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}", peer.endpoint);
    assert_eq!(ask(&text).status, 415);
    assert_eq!(ask(&GET.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n")).status, 403);
    // A second initialize is refused, and the session lives.
    let mut peer = Peer::initialized(server.addr, "2024-11-05");
    assert_eq!(
        peer.ask(5, "initialize", json!({ "protocolVersion": "2024-11-05" }))["error"]["code"],
        -32600
    );
    assert_eq!(peer.ask(6, "ping", json!({}))["result"], json!({}));
}

#[test]
fn open_channels_are_bounded_like_other_streams() {
    let server = start(|config| config.limits.max_event_streams = 2);
    let peers = [Peer::open(server.addr), Peer::open(server.addr)];
    let answer = server.client().ask(GET);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    drop(peers);
    eventually("the places are free", || metric(server.addr, "ringmesh_event_streams_open") == 0.0);
    drop(Peer::open(server.addr));
}

#[test]
fn a_client_that_does_not_read_is_not_served() {
    let server = start(|config| config.limits.max_stream_queue_bytes = 64 << 10);
    let mut peer = Peer::initialized(server.addr, "2024-11-05");
    let big = call("big", json!({ "count": 1, "bytes": 1 << 20 }));
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": big });
    let mut accepted = 0;
    let refused = loop {
        let answer = peer.post(&body);
        if answer.status != 202 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 100, "somewhere it ends");
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.text().contains("max_stream_queue_bytes"), "{refused:?}");
    for _ in 0..accepted {
        assert_eq!(peer.message()["id"], 1);
    }
    assert_eq!(peer.ask(2, "ping", json!({}))["result"], json!({}), "who reads is served again");
}

#[test]
fn shutdown_answers_what_was_asked_and_ends_the_stream() {
    let server = start(|config| config.shutdown_grace_ms = 8_000);
    let mut idle = Peer::initialized(server.addr, "2024-11-05");
    let mut busy = Peer::initialized(server.addr, "2024-11-05");
    busy.send(1, "tools/call", call("sleep", json!({ "ms": 500 })));
    let begun = Instant::now();
    server.handle.stop();
    assert_eq!(idle.stream.rest(), []);
    assert_eq!(text(&busy.message()), "slept");
    assert_eq!(busy.stream.rest(), []);
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn it_can_be_switched_off() {
    let server = start(|config| config.http_sse = false);
    assert_eq!(server.client().ask(GET).status, 404);
    assert_eq!(post(server.addr, "/messages?sessionId=x", "{}").status, 404);
}

#[test]
fn a_client_that_vanishes_while_it_initializes_leaves_no_session() {
    let server = start(|_| {});
    let params = json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } });
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string();
    let (body, last) = body.split_at(body.len() - 1);
    for _ in 0..300 {
        let peer = Peer::open(server.addr);
        // Most likely of another core; the end of the body and of the stream arrive together.
        let mut poster = Client::connect(server.addr);
        poster.send(format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            peer.endpoint,
            body.len() + last.len()
        ));
        peer.stream.client.stream.shutdown(std::net::Shutdown::Both).unwrap();
        poster.send(last);
        assert!([202, 404].contains(&poster.answer().status));
    }
    eventually("every session ended", || metric(server.addr, "ringmesh_sessions_open") == 0.0);
}
