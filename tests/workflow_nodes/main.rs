//! Workflow tasks among processes that talk over libp2p: submitted to one, completed on another, taken over from one that
//! is killed, and still there after a restart; and peers that lie.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test says what it expects by unwrapping it, and its peer is a small library"
)]

#[path = "../common/mod.rs"]
mod common;
mod liars;
mod node;
#[path = "../common/peer.rs"]
mod peer;

use std::collections::{BTreeMap, BTreeSet};

use node::{Node, Timing, until};

/// Each node owns at least so many of the tasks that are submitted.
const TASKS_EACH: usize = 3;

const SOON: Timing = Timing { heartbeat_ms: 200, peer_timeout_ms: 6_000 };
/// No heartbeat comes while the test runs, but for the first ones.
const SELDOM: Timing = Timing { heartbeat_ms: 600_000, peer_timeout_ms: 600_000 };

/// Submits to a node until each of the three owns some; the tasks by owner.
fn submit(to: &Node, round: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut owned: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for number in 0..1_000 {
        let id = format!("{round}-{number}");
        owned.entry(to.submit(&id)).or_default().insert(id);
        if owned.len() == 3 && owned.values().all(|tasks| tasks.len() >= TASKS_EACH) {
            return owned;
        }
    }
    panic!("the owners of 1000 tasks are {:?}", owned.keys());
}

fn total(owned: &BTreeMap<String, BTreeSet<String>>) -> u64 {
    owned.values().map(|tasks| tasks.len() as u64).sum()
}

#[test]
fn three_nodes_share_work_and_survive_the_death_of_one() {
    let mut a = Node::new("workflow-a", SOON, &[]);
    let mut b = Node::new("workflow-b", SOON, &[&a]);
    let mut c = Node::new("workflow-c", SOON, &[&a, &b]);
    until("all are members", || [&a, &b, &c].iter().all(|node| node.members() == 2));

    // Submitted to one, completed by the owners and nobody else.
    let owned = submit(&a, "first");
    let mut done = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    until("the owners have done all", || {
        for (node, done) in [&a, &b, &c].iter().zip(&mut done) {
            done.extend(node.work());
        }
        done.iter().map(|done| done.len() as u64).sum::<u64>() == total(&owned)
    });
    for (node, done) in [&a, &b, &c].iter().zip(&done) {
        assert_eq!(done, &owned[&node.peer_id], "each owner runs its tasks, each of them once");
    }
    let first = total(&owned);
    until("all know that all is done", || [&a, &b, &c].iter().all(|node| node.counts() == [0, 0, first]));

    // One is killed when the others know of its tasks.
    let owned = submit(&b, "second");
    let all = first + total(&owned);
    until("all know of the new tasks", || {
        [&a, &b, &c].iter().all(|node| node.counts() == [total(&owned), 0, first])
    });
    c.kill();
    let mut done = BTreeSet::new();
    until("what the dead one owned is taken over", || {
        done.extend(a.work());
        done.extend(b.work());
        done.len() as u64 == total(&owned)
    });
    until("the survivors agree", || a.counts() == [0, 0, all] && b.counts() == [0, 0, all]);

    // Who comes back has what it had, and hears of the rest.
    b.restart(&[&a]);
    assert_eq!(b.counts(), [0, 0, all], "nothing is lost with a process");
    c.restart(&[&a, &b]);
    assert!(c.counts().iter().sum::<u64>() == all, "nor in the one that was killed: {:?}", c.counts());
    until("the one that was dead hears what was done", || c.counts() == [0, 0, all]);
    assert_eq!(c.work(), Vec::<String>::new());
    a.restart(&[&b, &c]);
    assert_eq!(a.counts(), [0, 0, all]);
}

#[test]
fn an_owner_hears_of_a_task_before_the_next_heartbeat() {
    let a = Node::new("workflow-told-a", SELDOM, &[]);
    let b = Node::new("workflow-told-b", SELDOM, &[&a]);
    until("both are members", || [&a, &b].iter().all(|node| node.members() == 1));
    let owners = (0..1_000).map(|number| format!("t{number}"));
    let id = owners.into_iter().find(|id| a.submit(id) == b.peer_id).unwrap();
    let mut done = BTreeSet::new();
    until("the owner gets it", || {
        done.extend(b.work());
        done.contains(&id)
    });
    until("who took it hears that it is done", || a.counts()[2] == done.len() as u64);
}
