#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use serde_json::{Value, json};

use super::*;
use crate::limits::Limits;
use crate::p2p::access::Policy;
use crate::p2p::line::LineError;
use crate::p2p::{LocalBoxFuture, PeerId, Via};

/// Answers every call in the way that the tool's name says.
struct Tools;

impl CallTool for Tools {
    fn call<'a>(&'a self, call: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome> {
        let done = |result: String| ToolOutcome::Done { description: "d".to_owned(), result };
        let outcome = match call.name {
            "reads" => done(call.arguments.to_owned()),
            "writes" if call.full_access => done("true".to_owned()),
            "writes" => ToolOutcome::Forbidden,
            "large" => done(format!("\"{}\"", "x".repeat(1 << 20))),
            "slow" => ToolOutcome::TimedOut,
            _ => ToolOutcome::NotFound,
        };
        Box::pin(std::future::ready(outcome))
    }
}

fn options() -> TaskQueueOptions {
    TaskQueueOptions {
        peer_id: "12D3KooWme".into(),
        policy: Policy::default(),
        call_tool: true,
        cache: true,
        session: "blue".into(),
        peer_timeout: Duration::from_secs(300),
        limits: Limits::default(),
    }
}

fn remote(via: Via) -> Remote {
    let peer_id = PeerId::random();
    let address = "192.0.2.1:1".parse().unwrap();
    Remote { peer_id, principal: peer_id.to_base58().into(), address, via }
}

fn now() -> Now {
    Now { instant: Instant::now(), unix_s: 1.8e9 }
}

fn ask(queue: &TaskQueue, remote: &Remote, request: &Value) -> (Value, Answered) {
    let caller = Caller { remote: Some(remote), now: now() };
    let answered = block_on(queue.answer(
        request.to_string().as_bytes(),
        &caller,
        &Services { tools: &Tools, store: None },
    ));
    let answer: Value = serde_json::from_slice(&answered.json).unwrap();
    assert_eq!(answer["peer_id"], "12D3KooWme");
    assert_eq!(answer["ok"] == false, answered.error.is_some());
    (answer, answered)
}

/// The error, or `ok`.
fn verdict(queue: &TaskQueue, remote: &Remote, request: Value) -> String {
    let (answer, _) = ask(queue, remote, &request);
    answer["error"].as_str().unwrap_or("ok").to_owned()
}

#[test]
fn with_a_token_nobody_is_heard_without_it() {
    let local = remote(Via::Loopback);
    let allowed = remote(Via::Beyond);
    let policy = Policy::new(true, Some("s3cret"), [allowed.peer_id]);
    let queue = TaskQueue::new(TaskQueueOptions { policy, ..options() });
    for caller in [&local, &allowed, &remote(Via::Beyond)] {
        for token in [json!(null), json!(""), json!("s3cre"), json!(5), json!(["s3cret"]), json!(true)] {
            for op in ["status", "nope", "submit"] {
                let request = json!({"op": op, "token": token});
                assert_eq!(verdict(&queue, caller, request), "unauthorized", "{op} {token}");
            }
        }
        assert_eq!(verdict(&queue, caller, json!({"op": "status", "token": "s3cret"})), "ok");
        assert_eq!(verdict(&queue, caller, json!({"op": "nope", "token": "s3cret"})), "unknown_op");
    }
    assert_eq!(verdict(&queue, &local, json!([1])), "invalid_message", "before the token");
}

#[test]
fn who_may_only_read_changes_nothing() {
    let queue = TaskQueue::new(options());
    let stranger = remote(Via::Beyond);
    for op in ["submit", "claim", "claim_many", "complete", "release", "cancel", "cache.set", "cache.delete"]
    {
        let (answer, _) = ask(&queue, &stranger, &json!({"op": op}));
        assert_eq!(answer["error"], "unauthorized", "{op}, before its fields are looked at");
        assert!(answer["message"].as_str().unwrap().contains("changes state, which needs"));
        assert_ne!(verdict(&queue, &remote(Via::Loopback), json!({"op": op})), "unauthorized");
    }
    for op in ["list", "get", "wait"] {
        assert_eq!(verdict(&queue, &stranger, json!({"op": op})), "queue_unavailable");
    }
    assert_eq!(verdict(&queue, &stranger, json!({"op": "status"})), "ok");
}

#[test]
fn a_heartbeat_counts_where_it_may_change_something() {
    let queue = TaskQueue::new(options());
    let (stranger, local) = (remote(Via::Beyond), remote(Via::Loopback));
    let clock = json!({"node_id": "n", "vector": {"n": 3}});
    let beat = |peer: &Remote| ask(&queue, peer, &json!({"op": "heartbeat", "clock": clock})).0;
    let answer = beat(&stranger);
    assert_eq!(answer["peer"], *stranger.principal);
    assert_eq!(answer["scheduler"]["known_peers"], json!([]));
    assert_eq!(answer["scheduler"]["clock"]["vector"], json!({"taskqueue-service": 0}));
    let other = json!({"op": "heartbeat", "peer_id": "somebody"});
    assert_eq!(verdict(&queue, &stranger, other.clone()), "unauthorized");
    let answer = beat(&local);
    assert_eq!(answer["scheduler"]["clock"]["vector"], json!({"taskqueue-service": 1, "n": 3}));
    assert_eq!(verdict(&queue, &local, other), "ok");
    let alive = queue.alive_peers(now());
    assert_eq!(alive, ["somebody".into(), local.principal.clone()]);
}

#[test]
fn a_clock_that_cannot_be_read_is_told_and_the_peer_counts() {
    let limits = Limits { max_p2p_clock_entries: 16, max_p2p_peers: 16, ..Limits::default() };
    let queue = TaskQueue::new(TaskQueueOptions { limits, ..options() });
    let local = remote(Via::Loopback);
    let vector: serde_json::Map<_, _> = (0..17).map(|node| (node.to_string(), json!(1))).collect();
    let beat = |peer: &str, vector: Value| {
        ask(&queue, &local, &json!({"op": "heartbeat", "peer": peer, "clock": {"vector": vector}}))
    };
    let (answer, answered) = beat("a", json!(vector));
    assert!(answer["message"].as_str().unwrap().contains("max_p2p_clock_entries allows, which is 16"));
    assert_eq!(answered.limit, Some(Limit::P2pClockEntries));
    let (answer, answered) = beat("a", json!({"x": "NaNx"}));
    assert!(answer["message"].as_str().unwrap().ends_with("no number") && answered.limit.is_none());
    for peer in 0..15 {
        assert_eq!(beat(&peer.to_string(), json!({})).1.limit, None);
    }
    assert_eq!(beat("one more", json!({})).1.limit, Some(Limit::P2pPeers));
    assert_eq!(queue.alive_peers(now()).len(), 16);
    assert_eq!(verdict(&queue, &local, json!({"op": "heartbeat", "peer": "x".repeat(257)})), "invalid_field");
}

#[test]
fn nodes_tell_each_other_that_they_are_alive() {
    let (ours, theirs) = (TaskQueue::new(options()), TaskQueue::new(options()));
    let local = remote(Via::Loopback);
    let line = ours.heartbeat_request(Some("t"));
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let request: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&request["token"], &request["peer_id"]), (&json!("t"), &json!("12D3KooWme")));
    let (_, answered) = ask(&theirs, &local, &request);
    ours.take_heartbeat_answer(&local, &answered.json, now()).unwrap();
    assert_eq!(ours.alive_peers(now()).join(","), *local.principal);
    let stranger = remote(Via::Dialled);
    ours.take_heartbeat_answer(&stranger, &answered.json, now()).unwrap();
    assert_eq!(ours.alive_peers(now()).len(), 1, "it may claim nothing");
    let refused = theirs.refuse_for(Limit::P2pRequestRate);
    let error = ours.take_heartbeat_answer(&local, &refused.json, now()).unwrap_err();
    assert_eq!(error, HeartbeatError::Refused("rate_limited".to_owned()));
    for nonsense in [&b""[..], b"[]", b"{}", b"{\"ok\":1}"] {
        assert_eq!(ours.take_heartbeat_answer(&local, nonsense, now()), Err(HeartbeatError::NoAnswer));
    }
}

#[test]
fn what_is_switched_off_is_told_before_fields() {
    let queue = TaskQueue::new(TaskQueueOptions { call_tool: false, cache: false, ..options() });
    let local = remote(Via::Loopback);
    assert_eq!(verdict(&queue, &local, json!({"op": "call_tool"})), "tools_disabled");
    assert_eq!(verdict(&queue, &local, json!({"op": "cache"})), "cache_disabled");
    let queue = TaskQueue::new(options());
    assert_eq!(verdict(&queue, &local, json!({"op": "call_tool"})), "missing_tool_name");
    assert_eq!(verdict(&queue, &local, json!({"op": "cache"})), "missing_key");
    assert_eq!(verdict(&queue, &local, json!({"op": "cache", "key": 5})), "queue_unavailable");
}

#[test]
fn tools_are_called_for_who_may() {
    let queue = TaskQueue::new(options());
    let (stranger, local) = (remote(Via::Beyond), remote(Via::Loopback));
    let call =
        |tool: &str| json!({"op": "call_tool", "tool": tool, "args": {"n": 12345678901234567890123_f64}});
    let (answer, answered) = ask(&queue, &stranger, &call("reads"));
    assert_eq!((&answer["tool"], &answer["description"]), (&json!("reads"), &json!("d")));
    assert_eq!(OPERATIONS[answered.operation], "call_tool");
    assert_eq!(verdict(&queue, &stranger, call("writes")), "unauthorized");
    assert_eq!(verdict(&queue, &local, call("writes")), "ok");
    assert_eq!(verdict(&queue, &local, call("none")), "tool_not_found");
    assert_eq!(verdict(&queue, &local, call("slow")), "deadline_exceeded");
    assert_eq!(verdict(&queue, &local, call("large")), "answer_too_large");
    assert_eq!(verdict(&queue, &local, call("p2p_taskqueue_call_tool")), "recursion_refused");
}

#[test]
fn what_a_server_refuses_names_its_limit() {
    let queue = TaskQueue::new(options());
    for (answered, code, limit) in [
        (queue.refuse_line(LineError::TooLong), "frame_too_large", Some(Limit::P2pLineBytes)),
        (queue.refuse_line(LineError::MoreThanALine), "invalid_json", None),
        (queue.refuse_for(Limit::P2pTotalRate), "rate_limited", Some(Limit::P2pTotalRate)),
        (queue.refuse_for(Limit::BufferedBytes), "overloaded", Some(Limit::BufferedBytes)),
        (queue.internal_error(), "internal_error", None),
    ] {
        let answer: Value = serde_json::from_slice(&answered.json).unwrap();
        assert_eq!((answer["error"].as_str(), answered.limit), (Some(code), limit));
        assert_eq!(answered.operation, usize::MAX);
    }
}

#[test]
fn an_answer_fits_on_a_line_whatever_is_known() {
    let queue = TaskQueue::new(options());
    let local = remote(Via::Loopback);
    let types: Vec<_> = (0..64).map(|index| format!("\u{1}type.{index}")).collect();
    let vector: serde_json::Map<_, _> =
        (0..1_000).map(|node| (format!("{:\u{1}>200}{node}", ""), json!(node))).collect();
    let beat = json!({"op": "heartbeat", "clock": {"vector": vector}});
    assert_eq!(verdict(&queue, &local, beat), "ok");
    for peer in 0..1_024 {
        let id = format!("{:\u{1}>240}{peer}", "");
        let request = json!({"op": "claim", "worker_id": id, "peer": id, "task_types": types});
        assert_eq!(verdict(&queue, &local, request), "queue_unavailable");
    }
    for request in [json!({"op": "status", "detail": true}), json!({"op": "heartbeat"})] {
        let (answer, answered) = ask(&queue, &local, &request);
        assert_eq!(answer["ok"], true, "{}", answered.json.len());
        assert!(answered.json.len() > 400 << 10 && answered.json.len() < 1 << 20);
    }
}

#[test]
fn cores_share_one_task_queue() {
    fn shared<T: Send + Sync>() {}
    shared::<TaskQueue>();
}
