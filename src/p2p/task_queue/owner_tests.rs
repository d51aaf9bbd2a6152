#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use serde_json::json;

use super::tests::{ask_of, now, options, remote};
use super::*;
use crate::p2p::Via;
use crate::queue::Settings;
use crate::store::Store;

const TASKS: usize = 32;

fn submit(queue: &TaskQueue, store: &LocalStore) {
    for number in 0..TASKS {
        let task = json!({"op": "submit", "task_type": "t", "payload": {"n": number}});
        ask_of(queue, None, Some(store), &task);
    }
}

/// How many tasks a claimant gets at once.
fn claimed(queue: &TaskQueue, store: &LocalStore, remote: Option<&Remote>, worker: &str) -> usize {
    let claim = json!({"op": "claim", "worker_id": worker});
    (0..TASKS).filter(|_| !ask_of(queue, remote, Some(store), &claim).0["task"].is_null()).count()
}

#[test]
fn a_worker_of_this_node_that_is_gone_keeps_no_task_from_the_next() {
    let (queue, store) = (TaskQueue::new(options()), Store::in_memory(Settings::default()));
    assert_eq!(claimed(&queue, &store, None, "old"), 0);
    submit(&queue, &store);
    assert_eq!(claimed(&queue, &store, None, "new"), TASKS);
}

#[test]
fn a_peer_keeps_what_it_owns_until_it_was_silent_for_as_long_as_it_would_be_kept() {
    let (store, peer) = (Store::in_memory(Settings::default()), remote(Via::Loopback));
    for (silent_s, all) in [(0, false), (31, true)] {
        let queue = TaskQueue::new(options());
        let mut heard = now();
        heard.instant -= Duration::from_secs(silent_s);
        let caller = Caller { remote: Some(&peer), now: heard };
        let services = Services { tools: &super::tests::Tools, store: Some(&store), fetches: None };
        let beat = br#"{"op":"heartbeat"}"#;
        let answered = futures_lite::future::block_on(queue.answer(beat, &caller, &services));
        assert_eq!(answered.error, None);
        submit(&queue, &store);
        let got = claimed(&queue, &store, None, "worker");
        assert_eq!(got == TASKS, all, "{got} after {silent_s} s");
        assert!(got > 0);
        // The rest is the peer's, at once.
        assert_eq!(claimed(&queue, &store, Some(&peer), "its worker"), TASKS - got);
    }
}
