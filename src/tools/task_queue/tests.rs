//! From arguments to requests, held against what the clients that exist send; and what a call answers, with a node that
//! only says what it was asked.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ask::Ask;
use super::{Answer, KnownPeer, Myself, Refused, Target, TaskQueueNode, TaskQueueNodes};
use super::{cache, call_tool, claim, complete, docker, heartbeat, reading, status, submit};
use crate::limits::Limits;
use crate::mcp::{Access, At, Dispatcher, McpOptions, Outcome, Registry, RequestHead, Transport};
use crate::p2p::LocalBoxFuture;

/// The request, and how many seconds a peer has for it.
fn request<A: Ask>(arguments: Value) -> (Value, f64) {
    let args: A = serde_json::from_str(&arguments.to_string()).unwrap();
    let request = args.request().unwrap();
    (serde_json::from_str(&request.json).unwrap(), request.patience.as_secs_f64())
}

fn refused<A: Ask>(arguments: Value) -> &'static str {
    serde_json::from_str::<A>(&arguments.to_string()).unwrap().request().unwrap_err().error
}

#[test]
fn reading_tools_ask_what_recorded_clients_ask() {
    type Case = (fn(Value) -> (Value, f64), Value, Value, f64);
    let cases: [Case; 12] = [
        (
            request::<status::Status>,
            json!({}),
            json!({"op": "status", "timeout_s": 10.0, "detail": false}),
            10.0,
        ),
        (
            request::<status::Status>,
            json!({"timeout_s": 2, "detail": true}),
            json!({"op": "status", "timeout_s": 2.0, "detail": true}),
            2.0,
        ),
        (request::<reading::ListTasks>, json!({}), json!({"op": "list", "limit": 50}), 10.0),
        (
            request::<reading::ListTasks>,
            json!({"status": " QUEUED ", "limit": -5, "task_types": ["a"], "cursor": "c"}),
            json!({"op": "list", "status": " QUEUED ", "limit": -5, "task_types": ["a"], "cursor": "c"}),
            10.0,
        ),
        (request::<reading::GetTask>, json!({"task_id": "ff"}), json!({"op": "get", "task_id": "ff"}), 10.0),
        (
            request::<reading::WaitTask>,
            json!({"task_id": "ff"}),
            json!({"op": "wait", "task_id": "ff", "timeout_s": 60.0}),
            70.0,
        ),
        (
            request::<reading::WaitTask>,
            json!({"task_id": "ff", "timeout_s": 0.5}),
            json!({"op": "wait", "task_id": "ff", "timeout_s": 0.5}),
            10.5,
        ),
        (
            request::<reading::WaitTask>,
            json!({"task_id": "ff", "timeout_s": -1}),
            json!({"op": "wait", "task_id": "ff", "timeout_s": -1.0}),
            10.0,
        ),
        (
            request::<cache::CacheGet>,
            json!({"key": "k"}),
            json!({"op": "cache.get", "key": "k", "timeout_s": 10.0}),
            10.0,
        ),
        (
            request::<cache::CacheSet>,
            json!({"key": "k", "value": null}),
            json!({"op": "cache.set", "key": "k", "value": null, "timeout_s": 10.0}),
            10.0,
        ),
        (
            request::<cache::CacheSet>,
            json!({"key": "k", "value": {"a": [1]}, "ttl_s": 0.6, "timeout_s": 3}),
            json!({"op": "cache.set", "key": "k", "value": {"a": [1]}, "timeout_s": 3.0, "ttl_s": 0.6}),
            3.0,
        ),
        (
            request::<call_tool::CallTool>,
            json!({"tool_name": "no_such_tool", "args": {"a": 1}, "timeout_s": 2}),
            json!({"op": "call_tool", "tool_name": "no_such_tool", "args": {"a": 1}, "timeout_s": 2.0}),
            2.0,
        ),
    ];
    for (ask, arguments, expected, patience) in cases {
        assert_eq!(ask(arguments.clone()), (expected, patience), "{arguments}");
    }
}

#[test]
fn changing_tools_ask_what_recorded_clients_ask() {
    type Case = (fn(Value) -> (Value, f64), Value, Value);
    let cases: [Case; 9] = [
        (
            request::<submit::Submit>,
            json!({"task_type": "h", "model_name": "m", "payload": {"a": 1}}),
            json!({"op": "submit", "task_type": "h", "model_name": "m", "payload": {"a": 1}}),
        ),
        (
            request::<submit::Submit>,
            json!({"task_type": "", "model_name": "m", "payload": "txt", "idempotency_key": "i", "delay_s": 1.5,
                "max_attempts": 3, "priority": 9}),
            json!({"op": "submit", "task_type": "", "model_name": "m", "payload": "txt", "idempotency_key": "i",
                "delay_s": 1.5, "max_attempts": 3, "priority": 9}),
        ),
        (
            request::<claim::ClaimNext>,
            json!({"worker_id": "w", "peer_id": "P", "supported_task_types": ["h"], "clock": null}),
            json!({"op": "claim", "worker_id": "w", "supported_task_types": ["h"], "peer_id": "P"}),
        ),
        (
            request::<claim::ClaimNext>,
            json!({"worker_id": "w", "lease_s": 60, "max_tasks": 4, "wait_s": 0.5, "clock": {"node_id": "x"}}),
            json!({"op": "claim", "worker_id": "w", "supported_task_types": [], "clock": {"node_id": "x"},
                "lease_s": 60.0, "max_tasks": 4, "wait_s": 0.5}),
        ),
        (
            request::<complete::CompleteTask>,
            json!({"task_id": "ff", "result": {"x": 1}}),
            json!({"op": "complete", "task_id": "ff", "status": "completed", "result": {"x": 1}}),
        ),
        (
            request::<complete::CompleteTask>,
            json!({"task_id": "ff", "status": "failed", "error": "boom", "fencing_token": 7, "retryable": false}),
            json!({"op": "complete", "task_id": "ff", "status": "failed", "error": "boom", "fencing_token": 7,
                "retryable": false}),
        ),
        (
            request::<heartbeat::Heartbeat>,
            json!({"peer_id": "P", "clock": {"node_id": "r"}, "worker_id": "w", "progress": [{"task_id": "f"}]}),
            json!({"op": "peer.heartbeat", "peer_id": "P", "clock": {"node_id": "r"}, "worker_id": "w",
                "progress": [{"task_id": "f"}]}),
        ),
        (
            request::<docker::DockerHub>,
            json!({"image": "alpine:3", "command": ["echo", "hi"], "entrypoint": "sh", "environment": {"A": 1},
                "volumes": {"/a": "/b"}, "extra": {"memory_limit": "1g"}}),
            json!({"op": "submit", "task_type": "docker.execute", "model_name": "docker", "payload": {
                "image": "alpine:3", "command": ["echo", "hi"], "entrypoint": "sh", "environment": {"A": "1"},
                "volumes": {"/a": "/b"}, "memory_limit": "1g"}}),
        ),
        (
            request::<docker::DockerGithub>,
            json!({"repo_url": "https://x/y", "build_args": {"B": "2"}, "extra": {"branch": "next"}}),
            json!({"op": "submit", "task_type": "docker.github", "model_name": "docker", "payload": {
                "repo_url": "https://x/y", "branch": "next", "dockerfile_path": "Dockerfile",
                "context_path": ".", "build_args": {"B": "2"}}}),
        ),
    ];
    for (ask, arguments, expected) in cases {
        assert_eq!(ask(arguments.clone()).0, expected, "{arguments}");
    }
}

#[test]
fn a_wait_leaves_a_peer_time_to_answer() {
    assert_eq!(request::<claim::ClaimNext>(json!({"worker_id": "w", "wait_s": 20})).1, 30.0);
    assert!(request::<reading::WaitTask>(json!({"task_id": "f", "timeout_s": 1e300})).1 > 1e18);
    let remote = json!({"tool_name": "t", "remote_peer_id": "P", "timeout_s": 10});
    assert_eq!(request::<call_tool::CallTool>(remote).0["timeout_s"], 9.5);
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert_eq!(refused::<status::Status>(json!({"timeout_s": 0})), "invalid_field");
    assert_eq!(refused::<cache::CacheGet>(json!({"key": "k", "timeout_s": -1})), "invalid_field");
    assert_eq!(refused::<docker::DockerHub>(json!({"image": " "})), "invalid_field");
    assert_eq!(refused::<docker::DockerGithub>(json!({"repo_url": ""})), "invalid_field");
    let hurried = json!({"tool_name": "t", "remote_peer_id": "P", "timeout_s": 0.05});
    assert_eq!(refused::<call_tool::CallTool>(hurried), "deadline_exceeded");
}

/// What a node was asked: where, and what.
type Heard = RefCell<Vec<(Target, Value)>>;

thread_local! {
    static HEARD: Rc<Heard> = Rc::default();
}

struct Fake;

impl TaskQueueNodes for Fake {
    fn on_core(&self, core: usize) -> Option<Rc<dyn TaskQueueNode>> {
        (core == 0).then(|| Rc::new(Fake) as Rc<dyn TaskQueueNode>)
    }
}

impl TaskQueueNode for Fake {
    fn here(self: Rc<Self>, request: String, _: bool) -> LocalBoxFuture<'static, Answer> {
        let asked: Value = serde_json::from_str(&request).unwrap();
        HEARD.with(|heard| heard.borrow_mut().push((Target::default(), asked)));
        let json = r#"{"ok":true,"task":null,"queue":{"queued":1},"peer_id":"me"}"#.to_owned();
        Box::pin(async { Answer { json, ok: true } })
    }

    fn peer(
        self: Rc<Self>,
        target: Target,
        request: String,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<String, Refused>> {
        let asked: Value = serde_json::from_str(&request).unwrap();
        HEARD.with(|heard| heard.borrow_mut().push((target.clone(), asked)));
        Box::pin(async move {
            match target.peer_id.as_str() {
                "gone" => Err(Refused::new("peer_unreachable", "nobody answers there")),
                "odd" => Ok(r#"{"ok":true,"task":5}"#.to_owned()),
                _ => Ok(r#"{"ok":false,"error":"lease_lost"}"#.to_owned()),
            }
        })
    }

    fn may_read(&self, _: bool) -> Result<(), Refused> {
        Ok(())
    }

    fn max_json_depth(&self) -> usize {
        64
    }

    fn myself(&self) -> Myself {
        Myself { peer_id: "me".to_owned(), listen_port: Some(4001), started_at: 1.5 }
    }

    fn peers(&self, limit: usize) -> Vec<KnownPeer> {
        let peer = |id: &str| KnownPeer {
            peer_id: id.to_owned(),
            multiaddrs: vec![format!("/ip4/192.0.2.1/tcp/1/p2p/{id}")],
            bootstrap: true,
            connected: false,
            last_seen: None,
            agent: None,
            protocols: Vec::new(),
            round_trip: Some(Duration::from_micros(1_500)),
        };
        ["gone", "there"].into_iter().map(peer).take(limit).collect()
    }
}

/// The message that answers a request of 2026-07-28.
fn ask(method: &str, mut params: Value, core: usize, access: Access) -> Value {
    let nodes: Arc<dyn TaskQueueNodes> = Arc::new(Fake);
    let registry = super::register(Registry::new(), &nodes, &Limits::default(), false);
    let dispatcher = Dispatcher::new(registry, McpOptions::default()).unwrap();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let head = RequestHead { transport: Transport::Stream, ..RequestHead::default() };
    let (now, principal) = (Instant::now(), "anonymous");
    let at = At { now, core, principal, full: false, traceparent: None, access };
    let mut out = Vec::new();
    if let Outcome::Call(call) = dispatcher.post(&head, body.as_bytes(), &at, &mut out) {
        let mut call = pin!(call);
        let poll = call.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()), &mut out);
        assert!(matches!(poll, Poll::Ready(_)), "the fake answers at once");
    }
    serde_json::from_slice(&out).unwrap()
}

fn call_as(access: Access, name: &str, arguments: Value) -> Value {
    ask("tools/call", json!({"name": name, "arguments": arguments}), 0, access)["result"].take()
}

fn call(name: &str, arguments: Value) -> Value {
    call_as(Access::Full, name, arguments)
}

fn heard() -> Vec<(Target, Value)> {
    HEARD.with(|heard| heard.take())
}

#[test]
fn the_target_decides_who_is_asked() {
    let result = call("p2p_taskqueue_get_task", json!({"task_id": "f", "remote_peer_id": " "}));
    assert_eq!(result["structuredContent"]["task"], Value::Null);
    assert_eq!(result.get("isError"), None);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result["structuredContent"]);
    assert_eq!(heard()[0].0, Target::default());
    let result = call("p2p_taskqueue_get_task", json!({"task_id": "f", "remote_multiaddr": "/x"}));
    assert_eq!(result["isError"], true);
    assert_eq!(result["structuredContent"]["error"], "lease_lost");
    assert!(result["structuredContent"]["message"].as_str().unwrap().contains("lease_lost"));
    assert_eq!(heard()[0].0.multiaddr, "/x");
    for (peer, code) in [("gone", "peer_unreachable"), ("odd", "malformed_answer")] {
        let result = call("p2p_taskqueue_get_task", json!({"task_id": "f", "remote_peer_id": peer}));
        assert_eq!((&result["isError"], &result["structuredContent"]["error"]), (&json!(true), &json!(code)));
    }
    heard();
}

#[test]
fn who_may_only_read_has_nobody_else_asked() {
    let arguments = || json!({"task_id": "f", "remote_peer_id": "there"});
    let result = call_as(Access::ReadOnly, "p2p_taskqueue_get_task", arguments());
    assert_eq!(result["structuredContent"]["error"], "unauthorized");
    assert!(heard().is_empty());
    let local = call_as(Access::ReadOnly, "p2p_taskqueue_get_task", json!({"task_id": "f"}));
    assert_eq!(local["structuredContent"]["ok"], true);
    let listed = call_as(Access::ReadOnly, "list_peers", json!({"include_capabilities": true}));
    assert_eq!(listed["structuredContent"]["peers"][0]["status"]["error"], "unauthorized");
    assert_eq!(heard().len(), 1);
}

#[test]
fn peers_are_listed_with_what_they_can_do() {
    let plain = call("list_peers", json!({"limit": 1, "discover": false}));
    let expected = json!({"ok": true, "peer_id": "me", "self_peer_id": "me", "listen_port": 4001, "started_at": 1.5,
        "count": 1, "peers": [{"peer_id": "gone", "multiaddr": "/ip4/192.0.2.1/tcp/1/p2p/gone",
        "multiaddrs": ["/ip4/192.0.2.1/tcp/1/p2p/gone"], "bootstrap": true, "connected": false,
        "last_seen": null, "protocols": [], "round_trip_ms": 1.5}]});
    assert_eq!(plain["structuredContent"], expected);
    assert!(heard().is_empty());
    let asked = call("list_peers", json!({"include_capabilities": true, "capabilities_timeout_s": 1}));
    let peers = &asked["structuredContent"]["peers"];
    assert_eq!(peers[0]["status"]["error"], "peer_unreachable");
    assert_eq!(peers[1]["status"]["error"], "lease_lost");
    let discovery = asked["structuredContent"]["discovery"].as_object().unwrap();
    assert_eq!(discovery.keys().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(discovery["dht"]["available"], false);
    assert_eq!(heard()[0].1, json!({"op": "status", "timeout_s": 1.0, "detail": false}));
}

#[test]
fn a_core_that_does_not_serve_says_so() {
    let params = json!({"name": "p2p_taskqueue_status", "arguments": {}});
    let answer = ask("tools/call", params, 1, Access::Full);
    assert_eq!(answer["result"]["structuredContent"]["error"], "shutting_down");
}

#[test]
fn wrong_types_are_refused_with_what_is_allowed() {
    for (name, arguments, said) in [
        ("p2p_taskqueue_status", json!({"timeout_s": "soon"}), "number"),
        ("p2p_taskqueue_submit", json!({"model_name": "m"}), "task_type"),
        ("p2p_taskqueue_claim_next", json!({"worker_id": "w", "supported_task_types": "a,b"}), "array"),
        ("p2p_taskqueue_complete_task", json!({"task_id": 5}), "string"),
        ("p2p_taskqueue_submit_docker_hub", json!({"image": "i", "environment": {"A": []}}), "string"),
        ("p2p_taskqueue_submit_docker_hub", json!({"image": "i", "command": {}}), "string"),
        ("p2p_taskqueue_submit_docker_hub", json!({"image": "i", "extra": []}), "object"),
        ("p2p_taskqueue_cache_set", json!({"key": "k"}), "value"),
    ] {
        let result = call(name, arguments);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(result["isError"] == true && text.contains(said), "{name}: {text}");
    }
    assert!(heard().is_empty());
}

#[test]
fn tools_are_listed_as_they_are() {
    let tools = ask("tools/list", json!({}), 0, Access::Full)["result"]["tools"].take();
    let tools = tools.as_array().unwrap();
    assert_eq!(tools.len(), 14);
    let reading: Vec<_> = tools.iter().filter(|tool| tool["annotations"]["readOnlyHint"] == true).collect();
    let names: Vec<_> = reading.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let expected = ["status", "list_tasks", "get_task", "wait_task", "cache_get"];
    let expected =
        expected.iter().map(|name| format!("p2p_taskqueue_{name}")).chain(["list_peers".to_owned()]);
    assert_eq!(names, expected.collect::<Vec<_>>());
    for tool in tools {
        assert_eq!(tool["outputSchema"]["required"][0], "ok", "{}", tool["name"]);
        let names = tool["inputSchema"]["properties"].as_object().unwrap();
        assert!(names.values().all(|it| it["description"].is_string()), "{}: {names:?}", tool["name"]);
    }
}

#[test]
fn tasks_are_resources() {
    let read = |uri: &str| ask("resources/read", json!({"uri": uri}), 0, Access::Full);
    let counts = read("ringmesh://tasks");
    assert_eq!(counts["result"]["contents"][0]["text"], r#"{"queued":1}"#);
    assert_eq!(counts["result"]["contents"][0]["mimeType"], "application/json");
    assert_eq!(read("ringmesh://tasks/ff")["error"]["code"], -32602);
    assert_eq!(heard()[1].1, json!({"op": "get", "task_id": "ff"}));
}
