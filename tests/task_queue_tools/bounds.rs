//! What a bound refuses, and what a peer does that keeps to none.

use std::thread;
use std::time::Duration;

use ringmesh::p2p::TASK_QUEUE_PROTOCOL;
use serde_json::{Value, json};

use crate::peer::TestPeer;
use crate::support::{Answers, Desk, Node, serve};

/// A node that answers for itself, here and to another.
fn desks(near: &Node, far: &Node, check: impl Fn(&Desk<'_>)) {
    for answers in [Answers::Here, Answers::There] {
        check(&Desk::new(near, far, answers));
    }
}

#[test]
fn what_is_too_large_or_too_much_is_refused_by_the_limit_that_says_so() {
    let bounded = || {
        serve(|config| {
            let limits = &mut config.limits;
            (limits.max_task_payload_bytes, limits.max_task_result_bytes) = (1_024, 1_024);
            (limits.max_cache_key_bytes, limits.max_cache_value_bytes) = (16, 1_024);
            (limits.max_task_name_bytes, limits.max_queue_types) = (16, 1);
        })
    };
    let (near, far) = (bounded(), bounded());
    let long = "x".repeat(2_000);
    let submit = |task_type: &str, payload: Value| json!({ "task_type": task_type, "model_name": "m", "payload": payload });
    desks(&near, &far, |desk| {
        let id = desk.submit("t");
        let rows = [
            ("submit", submit("t", json!({ "x": long })), "too_large", "1024 bytes"),
            ("submit", submit(&"t".repeat(17), json!({})), "too_large", "16 bytes"),
            ("submit", submit("another", json!({})), "queue_full", "max_types"),
            ("complete_task", json!({ "task_id": id, "result": { "x": long } }), "too_large", "1024 bytes"),
            ("cache_set", json!({ "key": "k".repeat(17), "value": 1 }), "too_large", "16 bytes"),
            ("cache_set", json!({ "key": "k", "value": long }), "too_large", "1024 bytes"),
        ];
        for (tool, arguments, error, words) in rows {
            let answer = desk.call(&format!("p2p_taskqueue_{tool}"), arguments);
            let message = answer["message"].as_str().unwrap_or_default();
            assert_eq!(answer["error"], error, "{tool}: {answer}");
            assert!(message.contains(words), "{tool}: {answer}");
        }
    });
}

#[test]
fn of_more_who_wait_than_may_the_next_is_refused() {
    let node = serve(|config| config.limits.max_task_waiters = 1);
    let claim = || json!({ "worker_id": "w", "supported_task_types": ["none"], "wait_s": 20 });
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            loop {
                // The other one may have the only place for a moment.
                let answer = node.call("p2p_taskqueue_claim_next", claim());
                if answer["error"] != "overloaded" {
                    break answer;
                }
            }
        });
        let refused = loop {
            // The first one may not be there yet; then this one waits for as long as it asks for.
            let short = json!({ "worker_id": "v", "supported_task_types": ["none"], "wait_s": 0.05 });
            let answer = node.call("p2p_taskqueue_claim_next", short);
            if answer["ok"] == false {
                break answer;
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(refused["error"], "overloaded", "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("max_task_waiters"), "{refused}");
        node.call("p2p_taskqueue_submit", json!({ "task_type": "none", "model_name": "m", "payload": {} }));
        let claimed = first.join().unwrap();
        assert_eq!(claimed["task"]["task_type"], "none", "{claimed}");
    });
}

#[test]
fn without_its_token_a_task_is_not_ended_where_tokens_are_required() {
    let strict = || serve(|config| config.require_fencing = true);
    let (near, far) = (strict(), strict());
    desks(&near, &far, |desk| {
        let id = desk.submit("t");
        let token = desk.claim("t")["fencing_token"].clone();
        let end = json!({ "task_id": id });
        assert_eq!(desk.refused("p2p_taskqueue_complete_task", end), "fencing_required");
        desk.ok("p2p_taskqueue_complete_task", json!({ "task_id": id, "fencing_token": token }));
    });
}

#[test]
fn a_peer_that_gives_no_answer_of_use_is_said_to() {
    let large = "x".repeat(2 << 20);
    let scripts: [(Vec<Option<Value>>, &str); 7] = [
        (vec![None], "peer_closed"),
        (vec![Some(json!("late"))], "deadline_exceeded"),
        (vec![Some(json!([1]))], "malformed_answer"),
        (vec![Some(json!({ "peer_id": "x" }))], "malformed_answer"),
        (vec![Some(json!({ "ok": true, "hit": "perhaps" }))], "malformed_answer"),
        (vec![Some(json!({ "ok": true, "value": large }))], "answer_too_large"),
        (vec![Some(json!({ "ok": false, "error": "overloaded" }))], "overloaded"),
    ];
    let node = serve(|_| {});
    for (script, error) in scripts {
        let peer = TestPeer::start(
            TASK_QUEUE_PROTOCOL,
            Box::new(move |_| {
                if script == [Some(json!("late"))] {
                    thread::sleep(Duration::from_millis(1_500));
                }
                script.clone()
            }),
        );
        let get = json!({ "key": "k", "timeout_s": 1, "remote_multiaddr": peer.target() });
        let answer = node.call("p2p_taskqueue_cache_get", get);
        assert_eq!((&answer["ok"], &answer["error"]), (&json!(false), &json!(error)), "{answer}");
    }
}
