//! Long polls: what ends them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::events::metric;
use crate::common::tools::eventually;
use crate::common::{Client, call};
use crate::support::{Desk, in_both, serve};

/// A wait of a minute would not end within this.
const SOON: Duration = Duration::from_secs(20);

fn waiters(desk: Desk<'_>) -> f64 {
    metric(desk.answering().server.addr, "ringmesh_queue_waiters")
}

/// Runs `then` once a call of `tool` waits, and returns the call's answer.
fn while_waiting(desk: Desk<'_>, tool: &str, arguments: Value, then: impl FnOnce()) -> Value {
    let begun_at = Instant::now();
    let answer = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| desk.ok(tool, arguments));
        eventually("the call waits", || waiters(desk) > 0.0);
        then();
        waiting.join().unwrap()
    });
    assert!(begun_at.elapsed() < SOON, "{tool} was not woken");
    answer
}

#[test]
fn a_wait_ends_with_its_task() {
    in_both(|desk| {
        let id = desk.submit("awaited");
        let wait = json!({ "task_id": id, "timeout_s": 60 });
        let complete = json!({ "task_id": id, "result": { "n": 1 } });
        let answer = while_waiting(desk, "p2p_taskqueue_wait_task", wait, || {
            desk.ok("p2p_taskqueue_complete_task", complete);
        });
        assert_eq!(
            (&answer["task"]["status"], &answer["task"]["result"]),
            (&json!("completed"), &json!({ "n": 1 }))
        );
    });
}

#[test]
fn a_claim_waits_for_a_task() {
    in_both(|desk| {
        let claim = json!({ "worker_id": "w", "supported_task_types": ["late"], "wait_s": 60 });
        let mut id = String::new();
        let answer =
            while_waiting(desk, "p2p_taskqueue_claim_next", claim.clone(), || id = desk.submit("late"));
        assert_eq!(answer["task"]["task_id"], id.as_str());
        let claim = json!({ "worker_id": "w", "supported_task_types": ["late"], "wait_s": 0.1 });
        assert_eq!(desk.ok("p2p_taskqueue_claim_next", claim)["task"], Value::Null);
    });
}

#[test]
fn a_wait_ends_when_its_client_goes_away() {
    in_both(|desk| {
        let id = desk.submit("forgotten");
        let mut arguments = json!({ "task_id": id, "timeout_s": 3_000 });
        if desk.answers == crate::support::Answers::There {
            arguments["remote_multiaddr"] = desk.far.address.clone().into();
        }
        let mut client = Client::connect(desk.near.server.addr);
        client.send(call("p2p_taskqueue_wait_task", arguments));
        eventually("the call waits", || waiters(desk) > 0.0);
        drop(client);
        eventually("nobody waits any more", || waiters(desk) == 0.0);
    });
}

#[test]
fn a_wait_does_not_hold_up_the_end_of_a_server() {
    let node = serve(|_| {});
    let desk = Desk::new(&node, &node, crate::support::Answers::Here);
    let id = desk.submit("forgotten");
    let mut client = Client::connect(node.server.addr);
    client.send(call("p2p_taskqueue_wait_task", json!({ "task_id": id, "timeout_s": 3_000 })));
    eventually("the call waits", || waiters(desk) > 0.0);
    let begun_at = Instant::now();
    node.server.stop().unwrap();
    assert!(begun_at.elapsed() < SOON);
    // It is answered in order: with the task as it stands, or with the end of the server.
    assert!(client.try_answer().is_ok());
}
