use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{StatusProvider, register};
use crate::mcp::{Access, At, Dispatcher, McpOptions, Outcome, Registry, RequestHead, Transport};

struct Fixed;

impl StatusProvider for Fixed {
    fn uptime(&self) -> Duration {
        Duration::from_micros(1_500_400)
    }

    fn sessions(&self) -> usize {
        7
    }
}

fn call(name: &str, arguments: Value) -> Value {
    let dispatcher =
        Dispatcher::new(register(Registry::new(), Arc::new(Fixed)), McpOptions::default()).unwrap();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let params = json!({"name": name, "arguments": arguments, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let head = RequestHead { transport: Transport::Stream, ..RequestHead::default() };
    let at = At {
        now: Instant::now(),
        core: 5,
        principal: "anonymous",
        full: false,
        traceparent: None,
        access: Access::Full,
    };
    let mut out = Vec::new();
    if let Outcome::Call(mut call) = dispatcher.post(&head, body.as_bytes(), &at, &mut out) {
        let poll = call.poll(&mut Context::from_waker(Waker::noop()), &mut out);
        assert!(matches!(poll, Poll::Ready(_)), "the tools that come along finish at once");
    }
    serde_json::from_slice::<Value>(&out).unwrap()["result"].take()
}

#[test]
fn echo_returns_the_message() {
    assert_eq!(call("echo", json!({"message": "hé"}))["content"], json!([{"type": "text", "text": "hé"}]));
    let refused = call("echo", json!({"message": 1}));
    assert_eq!(refused["isError"], true);
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("`message` must be a string"));
}

#[test]
fn server_status_tells_core_version_uptime_and_sessions() {
    let expected = json!({"core": 5, "version": env!("CARGO_PKG_VERSION"), "uptime_s": 1.5, "sessions": 7});
    assert_eq!(call("server_status", json!({}))["structuredContent"], expected);
}
