//! Nodes that talk by function calls, and changes that are durable at once.

use super::super::*;
use crate::queue::{Change, Now, Sequencer};

pub(super) const TIMEOUT_MS: i64 = 300_000;

pub(super) fn at(mono_ms: i64) -> Now {
    Now { mono_ms, wall_ms: 1_700_000_000_000 + mono_ms as u64 }
}

pub(super) fn node(id: &str) -> Scheduler {
    node_with(id, Settings::default())
}

pub(super) fn node_with(id: &str, settings: Settings) -> Scheduler {
    Scheduler::new(id, settings, Sequencer::default(), 1)
}

pub(super) fn task(id: &str) -> Submit {
    Submit { task_id: id.into(), workflow_id: "w".into(), name: "n".into(), tags: Vec::new(), priority: 5 }
}

pub(super) fn change(step: Asked) -> Change {
    match step.unwrap() {
        Step::Change(change) => change,
        other => panic!("{other:?}"),
    }
}

/// The answer once it is durable.
pub(super) fn land(node: &mut Scheduler, asked: Asked) -> Answer {
    match asked.unwrap() {
        Step::Done(answer) => answer,
        Step::Change(change) => node.commit(change.sequence).unwrap().answer,
        Step::Wait(sequence) => panic!("waits for {sequence}"),
    }
}

pub(super) fn submit(node: &mut Scheduler, id: &str, now: Now) -> Submitted {
    let asked = node.submit(now, task(id));
    match land(node, asked) {
        Answer::Submitted(submitted) => submitted,
        other => panic!("{other:?}"),
    }
}

pub(super) fn next(node: &mut Scheduler, now: Now) -> Option<NextTask> {
    let asked = node.next_task(now);
    match land(node, asked) {
        Answer::Next(next) => next,
        other => panic!("{other:?}"),
    }
}

pub(super) fn complete(node: &mut Scheduler, id: &str, now: Now) -> Result<bool, &'static str> {
    let asked = node.complete(now, id);
    match land(node, Ok(asked.map_err(|error| error.code())?)) {
        Answer::Completed { already, .. } => Ok(already),
        other => panic!("{other:?}"),
    }
}

/// Everything that is due.
pub(super) fn tick(node: &mut Scheduler, now: Now) -> Ticked {
    let mut sum = Ticked::default();
    while let Some(change) = node.tick(now) {
        let Answer::Ticked(ticked) = node.commit(change.sequence).unwrap().answer else {
            panic!("another answer")
        };
        sum.taken_over += ticked.taken_over;
        sum.overdue += ticked.overdue;
        sum.removed += ticked.removed;
    }
    sum
}

/// `to` hears a heartbeat of `from`.
pub(super) fn beat(from: &Scheduler, to: &mut Scheduler, now: Now) -> bool {
    let json = serde_json::to_string(&from.beat()).unwrap();
    let heard = to.hear_beat(&from.status().peer_id, &PeerBeat::read(&json, 64).unwrap(), now);
    if let Some(change) = heard.change {
        to.commit(change.sequence).unwrap();
    }
    heard.fetch
}

/// One page of `from` for `to`, through JSON.
pub(super) fn page(from: &Scheduler, to: &mut Scheduler, now: Now) -> Merged {
    let json = serde_json::to_string(&from.answer_fetch(&to.fetch(&from.status().peer_id))).unwrap();
    let fetched = to.sift(super::super::Fetched::read(&json).unwrap());
    let verified = to.verifier().check(fetched).unwrap();
    let asked = to.take_fetched(&from.status().peer_id, verified, now);
    match land(to, asked) {
        Answer::Merged(merged) => merged,
        other => panic!("{other:?}"),
    }
}

/// A heartbeat, all pages, and their acknowledgements.
pub(super) fn pull(from: &mut Scheduler, to: &mut Scheduler, now: Now) {
    beat(from, to, now);
    loop {
        let merged = page(from, to, now);
        if let Some(ack) = &merged.ack {
            from.take_ack(ack);
        }
        if !merged.more {
            return;
        }
    }
}

/// Both ways.
pub(super) fn meet(a: &mut Scheduler, b: &mut Scheduler, now: Now) {
    pull(a, b, now);
    pull(b, a, now);
    pull(a, b, now);
}

/// Two nodes that know each other, and a task that the second submitted and the first owns.
pub(super) fn pair_with_task(now: Now) -> (Scheduler, Scheduler, String) {
    let (mut a, mut b) = (node("a"), node("b"));
    meet(&mut a, &mut b, now);
    let id = owned_by(&mut b, "a", now);
    (a, b, id)
}

/// Submits tasks until one is owned by this peer; the others are completed.
pub(super) fn owned_by(node: &mut Scheduler, owner: &str, now: Now) -> String {
    for number in 0.. {
        let id = format!("{owner}-{number}");
        if *submit(node, &id, now).owner == *owner {
            return id;
        }
        complete(node, &id, now).unwrap();
    }
    unreachable!()
}

pub(super) fn winner(node: &Scheduler, id: &str) -> Option<(u64, String)> {
    let done = node.task(id)?.state.completion.as_ref()?;
    Some((done.token.counter, done.token.peer_id.to_string()))
}
