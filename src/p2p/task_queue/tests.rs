#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use serde_json::{Value, json};

use super::*;
use crate::limits::Limits;
use crate::p2p::access::Policy;
use crate::p2p::line::LineError;
use crate::p2p::{LocalBoxFuture, PeerId, Via};
use crate::queue::Settings;
use crate::store::Store;

/// Answers every call in the way that the tool's name says.
pub(super) struct Tools;

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

pub(super) fn options() -> TaskQueueOptions {
    TaskQueueOptions {
        peer_id: "12D3KooWme".into(),
        policy: Policy::default(),
        call_tool: true,
        cache: true,
        session: "blue".into(),
        deterministic: true,
        peer_timeout: Duration::from_secs(300),
        limits: Limits::default(),
    }
}

pub(super) fn remote(via: Via) -> Remote {
    let peer_id = PeerId::random();
    let address = "192.0.2.1:1".parse().unwrap();
    Remote { peer_id, principal: peer_id.to_base58().into(), address, via }
}

pub(super) fn now() -> Now {
    Now { instant: Instant::now(), unix_s: 1.8e9 }
}

fn ask(queue: &TaskQueue, remote: &Remote, request: &Value) -> (Value, Answered) {
    ask_of(queue, Some(remote), None, request)
}

pub(super) fn ask_of(
    queue: &TaskQueue,
    remote: Option<&Remote>,
    store: Option<&LocalStore>,
    request: &Value,
) -> (Value, Answered) {
    let caller = Caller { remote, now: now() };
    let answered = block_on(queue.answer(
        request.to_string().as_bytes(),
        &caller,
        &Services { tools: &Tools, store, fetches: None },
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
    let line = ours.heartbeat_request(Some("t"), None);
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let request: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&request["token"], &request["peer_id"]), (&json!("t"), &json!("12D3KooWme")));
    let (_, answered) = ask(&theirs, &local, &request);
    ours.take_heartbeat_answer(&local, &answered.json, None, now()).unwrap();
    assert_eq!(ours.alive_peers(now()).join(","), *local.principal);
    let stranger = remote(Via::Dialled);
    ours.take_heartbeat_answer(&stranger, &answered.json, None, now()).unwrap();
    assert_eq!(ours.alive_peers(now()).len(), 1, "it may claim nothing");
    let refused = theirs.refuse_for(Limit::P2pRequestRate);
    let error = ours.take_heartbeat_answer(&local, &refused.json, None, now()).unwrap_err();
    assert_eq!(error, HeartbeatError::Refused("rate_limited".to_owned()));
    for nonsense in [&b""[..], b"[]", b"{}", b"{\"ok\":1}"] {
        assert_eq!(ours.take_heartbeat_answer(&local, nonsense, None, now()), Err(HeartbeatError::NoAnswer));
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
    let (local, store) = (remote(Via::Loopback), Store::in_memory(Settings::default()));
    let types: Vec<_> = (0..64).map(|index| format!("\u{1}type.{index}")).collect();
    let vector: serde_json::Map<_, _> =
        (0..1_000).map(|node| (format!("{:\u{1}>200}{node}", ""), json!(node))).collect();
    let beat = json!({"op": "heartbeat", "clock": {"vector": vector}});
    assert_eq!(verdict(&queue, &local, beat), "ok");
    for peer in 0..1_024 {
        let id = format!("{:\u{1}>240}{peer}", "");
        let request = json!({"op": "claim", "worker_id": id, "peer": id, "task_types": types});
        assert_eq!(ask_of(&queue, Some(&local), Some(&store), &request).0["ok"], true);
    }
    for request in [json!({"op": "status", "detail": true}), json!({"op": "heartbeat"})] {
        let (answer, answered) = ask(&queue, &local, &request);
        assert_eq!(answer["ok"], true, "{}", answered.json.len());
        assert!(answered.json.len() > 400 << 10 && answered.json.len() < 1 << 20);
    }
}

/// A queue with a store, asked by one peer.
struct Asked {
    queue: TaskQueue,
    store: LocalStore,
    remote: Remote,
}

impl Asked {
    fn new(settings: Settings) -> Asked {
        let (queue, store) = (TaskQueue::new(options()), Store::in_memory(settings));
        Asked { queue, store, remote: remote(Via::Loopback) }
    }

    fn ask(&self, request: Value) -> Value {
        ask_of(&self.queue, Some(&self.remote), Some(&self.store), &request).0
    }

    fn code(&self, request: Value) -> String {
        let answer = self.ask(request);
        assert_eq!(answer["ok"], answer["error"].is_null(), "{answer}");
        assert_eq!(answer["message"].is_string(), answer["error"].is_string(), "{answer}");
        answer["error"].as_str().unwrap_or("ok").to_owned()
    }

    fn submit(&self, request: Value) -> String {
        let answer = self.ask(request);
        answer["task_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn claim(&self, worker: &str) -> Value {
        self.ask(json!({"op": "claim", "worker_id": worker}))["task"].take()
    }
}

#[test]
fn a_task_goes_its_way() {
    let asked = Asked::new(Settings::default());
    let id =
        asked.submit(json!({"op": "submit", "task_type": "t", "payload": {"a": [1.0, null]}, "priority": 7}));
    let task = asked.ask(json!({"op": "get", "task_id": id}))["task"].take();
    assert_eq!(
        (&task["status"], &task["payload"], &task["priority"]),
        (&json!("queued"), &json!({"a": [1.0, null]}), &json!(7))
    );
    assert!(
        asked.ask(json!({"op": "claim", "worker_id": "w", "task_types": "other, none"}))["task"].is_null()
    );
    let claimed =
        asked.ask(json!({"op": "claim_next", "worker_id": 7, "supported_task_types": ["t"], "lease_s": 60}));
    let claimed = &claimed["task"];
    assert_eq!((&claimed["task_id"], &claimed["assigned_worker"]), (&json!(id), &json!("7")));
    let left = claimed["lease_until"].as_f64().unwrap() - asked.store.now().wall_ms as f64 / 1e3;
    assert!((50.0..=60.5).contains(&left), "{left}");
    let beat = json!({"op": "heartbeat", "worker_id": "7", "progress": [
        {"task_id": id, "progress": {"done": 1}, "logs": ["one", "two"]}, {"task_id": "ff"}]});
    let told = asked.ask(beat);
    assert_eq!((&told["renewed"], &told["cancelled"]), (&json!([id]), &json!([])));
    assert_eq!(told["progress_errors"], json!([{"task_id": "ff", "error": "task_not_found"}]));
    let ended = asked.ask(json!({"op": "complete", "task_id": id, "result": {"n": 1}, "fencing_token": claimed["fencing_token"]}));
    assert_eq!((&ended["ok"], &ended["status"]), (&json!(true), &json!("completed")));
    let waited = asked.ask(json!({"op": "wait", "task_id": id, "timeout_s": 60}))["task"].take();
    assert_eq!(waited["result"], json!({"logs": ["one", "two"], "n": 1, "progress": {"done": 1}}));
    assert!(asked.ask(json!({"op": "wait", "task_id": "none"}))["task"].is_null());
}

#[test]
fn each_refusal_has_its_code() {
    let settings =
        Settings { max_tasks: 4, max_payload_bytes: 100, default_max_attempts: 1, ..Settings::default() };
    let asked = Asked::new(settings);
    let unknown = "f".repeat(32);
    for (op, code) in
        [("complete", "task_not_found"), ("release", "task_not_found"), ("requeue", "task_not_found")]
    {
        for id in ["x", &unknown] {
            assert_eq!(asked.code(json!({"op": op, "task_id": id, "worker_id": "w"})), code, "{op} {id}");
        }
    }
    assert_eq!(asked.ask(json!({"op": "cancel", "task_id": unknown}))["cancelled"], false);
    assert_eq!(asked.code(json!({"op": "submit", "payload": {"x": "y".repeat(200)}})), "too_large");
    assert_eq!(asked.code(json!({"op": "submit", "task_type": "y".repeat(600)})), "too_large");
    let key = json!({"op": "submit", "idempotency_key": "k", "payload": {"n": 1}});
    let id = asked.submit(key.clone());
    assert_eq!(asked.submit(key), id);
    assert_eq!(
        asked.code(json!({"op": "submit", "idempotency_key": "k", "payload": {}})),
        "idempotency_conflict"
    );
    assert_eq!(asked.code(json!({"op": "requeue", "task_id": id})), "task_not_finished");
    let claimed = asked.claim("w");
    assert_eq!(asked.code(json!({"op": "release", "task_id": id, "worker_id": "v"})), "lease_lost");
    assert_eq!(asked.code(json!({"op": "complete", "task_id": id, "fencing_token": 99})), "lease_lost");
    assert_eq!(asked.code(json!({"op": "complete", "task_id": id, "fencing_token": -1})), "invalid_field");
    assert_eq!(asked.code(json!({"op": "release", "task_id": id, "worker_id": "w"})), "ok");
    let again = asked.claim("v");
    assert!(again["fencing_token"].as_u64() > claimed["fencing_token"].as_u64());
    assert_eq!(asked.code(json!({"op": "complete", "task_id": id})), "lease_lost", "it was claimed twice");
    let failed = json!({"op": "complete", "task_id": id, "status": "failed", "error": ["x"], "retryable": true,
        "fencing_token": again["fencing_token"]});
    assert_eq!(asked.ask(failed)["status"], "failed");
    let dead = asked.ask(json!({"op": "get", "task_id": id}))["task"].take();
    assert_eq!((&dead["dead_letter"], &dead["error"]), (&json!(true), &json!("[\"x\"]")));
    assert_eq!(asked.code(json!({"op": "task.requeue", "task_id": id})), "ok");
    for _ in 0..3 {
        asked.submit(json!({"op": "submit"}));
    }
    assert_eq!(asked.code(json!({"op": "submit"})), "queue_full");
    assert_eq!(asked.code(json!({"op": "list", "cursor": "?"})), "invalid_value");
    assert_eq!(asked.code(json!({"op": "wait", "task_id": id, "timeout_s": [1]})), "invalid_field");
    let many: Vec<_> = (0..200).map(|index| index.to_string()).collect();
    assert_eq!(asked.code(json!({"op": "claim", "worker_id": "w", "task_types": many})), "too_large");
    assert_eq!(asked.code(json!({"op": "heartbeat", "worker_id": "w", "progress": [1]})), "invalid_field");
    let fenced = Asked::new(Settings { require_fencing: true, ..Settings::default() });
    let id = fenced.submit(json!({"op": "submit"}));
    assert_eq!(fenced.code(json!({"op": "complete", "task_id": id})), "fencing_required");
}

#[test]
fn a_list_goes_on_where_it_stopped() {
    let asked = Asked::new(Settings::default());
    let ids: Vec<_> = (0..7).map(|n| asked.submit(json!({"op": "submit", "payload": {"n": n}}))).collect();
    let mut request = json!({"op": "list", "limit": "3", "status": " QUEUED "});
    let mut listed = Vec::new();
    loop {
        let answer = asked.ask(request.clone());
        let tasks = answer["tasks"].as_array().unwrap();
        assert!(tasks.len() <= 3);
        listed.extend(tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = answer["cursor"].as_str() else { break };
        request["cursor"] = json!(cursor);
    }
    assert_eq!(listed, ids);
    for (limit, count) in
        [(json!(0), 7), (json!("abc"), 7), (json!(-5), 1), (json!(2.9), 2), (json!(true), 1)]
    {
        let answer = asked.ask(json!({"op": "list", "limit": limit}));
        assert_eq!(answer["tasks"].as_array().unwrap().len(), count, "{limit}");
    }
    assert_eq!(asked.ask(json!({"op": "list", "status": "bogus"}))["tasks"], json!([]));
    assert_eq!(asked.ask(json!({"op": "list", "task_types": [5]}))["tasks"], json!([]));
}

#[test]
fn large_tasks_are_listed_and_claimed_within_a_line() {
    let asked = Asked::new(Settings::default());
    let payload = json!({"x": "y".repeat(900 << 10)});
    for _ in 0..3 {
        asked.submit(json!({"op": "submit", "payload": payload}));
    }
    let listed = asked.ask(json!({"op": "list"}));
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 1, "as many as their bytes allow");
    assert_eq!(listed["tasks"][0]["omitted"], json!(["payload"]));
    assert!(listed["cursor"].is_string());
    let many = asked.ask(json!({"op": "claim_many", "worker_id": "w", "max_tasks": 9}));
    assert_eq!(many["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(many["tasks"][0]["payload"], payload);
}

#[test]
fn the_cache_keeps_what_it_is_given() {
    let asked = Asked::new(Settings::default());
    assert_eq!(asked.ask(json!({"op": "cache.get", "key": "k"}))["hit"], false);
    assert_eq!(asked.code(json!({"op": "cache.set", "key": "k", "value": [1, {"a": null}]})), "ok");
    let got = asked.ask(json!({"op": "cache", "key": "k"}));
    assert_eq!((&got["hit"], &got["value"]), (&json!(true), &json!([1, {"a": null}])));
    assert_eq!(asked.code(json!({"op": "cache_set", "key": "k", "value": null})), "ok");
    assert_eq!(asked.ask(json!({"op": "cache.has", "key": "k"}))["hit"], false);
    assert_eq!(asked.ask(json!({"op": "cache.delete", "key": "k"}))["deleted"], true);
    let large = json!({"op": "cache.set", "key": "k", "value": "y".repeat(1 << 20)});
    assert_eq!(asked.code(large), "too_large");
    let off = TaskQueue::new(TaskQueueOptions { cache: false, call_tool: false, ..options() });
    let get = json!({"op": "cache.get", "key": "k"});
    assert_eq!(ask_of(&off, Some(&asked.remote), Some(&asked.store), &get).0["error"], "cache_disabled");
    assert_eq!(ask_of(&off, None, Some(&asked.store), &get).0["ok"], true, "one's own clients may");
}

#[test]
fn tasks_are_for_their_owners_first() {
    let asked = Asked::new(Settings::default());
    let peers = ["a", "b", "c"];
    for peer in peers {
        asked.ask(json!({"op": "heartbeat", "peer_id": peer}));
    }
    for n in 0..30 {
        asked.submit(json!({"op": "submit", "task_type": "t", "model_name": n.to_string()}));
    }
    let clock =
        asked.ask(json!({"op": "status", "detail": true}))["scheduler"]["clock"]["merkle_root"].take();
    let mut claimed = 0;
    for peer in peers {
        loop {
            let task = asked.ask(json!({"op": "claim", "worker_id": "w", "peer_id": peer}))["task"].take();
            if task.is_null() {
                break;
            }
            let text = |key: &str| task[key].as_str().unwrap().to_owned();
            let hash = crate::scheduler::task_hash(&text("task_id"), "t", &text("model_name"));
            assert_eq!(crate::scheduler::owner(clock.as_str().unwrap(), &hash, peers), Some(peer));
            claimed += 1;
        }
    }
    assert_eq!(claimed, 30, "each task has one owner");
    let counts = asked.ask(json!({"op": "status", "detail": true}))["queue"].take();
    assert_eq!(
        counts,
        json!({"queued": 0, "running": 30, "queued_by_type": {}, "running_by_type": {"t": 30}})
    );
}

#[test]
fn a_client_of_this_node_needs_no_token_and_names_itself() {
    let policy = Policy::new(false, Some("s3cret"), []);
    let queue = TaskQueue::new(TaskQueueOptions { policy, ..options() });
    let store = Store::in_memory(Settings::default());
    let ask = |request: Value| ask_of(&queue, None, Some(&store), &request).0;
    assert_eq!(ask(json!({"op": "submit"}))["ok"], true);
    assert_eq!(ask(json!({"op": "heartbeat"}))["error"], "missing_peer_id");
    assert_eq!(ask(json!({"op": "claim", "worker_id": "w"}))["task"]["assigned_worker"], "w");
}

#[test]
fn cores_share_one_task_queue() {
    fn shared<T: Send + Sync>() {}
    shared::<TaskQueue>();
}
