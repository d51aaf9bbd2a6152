//! Records, replay and snapshots.

use super::super::*;
use super::help::*;
use crate::queue::Change;

/// A node with some history, and its records.
fn history() -> (Scheduler, Vec<Change>) {
    let settings = Settings { retention_ms: 1_000, ..Settings::default() };
    let (mut me, mut records) = (node_with("me", settings), Vec::new());
    let mut keep = |me: &mut Scheduler, change: Change| {
        me.commit(change.sequence).unwrap();
        records.push(change);
    };
    let clock = PeerClock::read(r#"{"vector":{"you":7}}"#, 8).unwrap();
    let heard = me.hear("you", Some(true), Some(&clock), at(0));
    keep(&mut me, heard.change.unwrap());
    for (number, id) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let submitted = change(me.submit(at(number as i64), task(id)));
        keep(&mut me, submitted);
    }
    while let Ok(Step::Change(given)) = me.next_task(at(50)) {
        keep(&mut me, given);
        if me.counts().assigned > 1 {
            break;
        }
    }
    let held = ["a", "b", "c", "d", "e", "f"].into_iter().filter(|id| me.task(id).unwrap().holder() == "me");
    let held: Vec<_> = held.collect();
    for id in &held[..1] {
        let completed = change(me.complete(at(60), id));
        keep(&mut me, completed);
    }
    let removed = me.tick(at(2_000)).unwrap();
    keep(&mut me, removed);
    (me, records)
}

fn replayed<'a>(records: impl IntoIterator<Item = &'a Change>, at_ms: i64) -> Scheduler {
    let mut node = node("me");
    for record in records {
        node.replay(record.sequence, record.kind, &record.bytes, at(at_ms)).unwrap();
    }
    node.replayed();
    node
}

fn assert_same(a: &Scheduler, b: &Scheduler) {
    for id in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(a.task(id), b.task(id), "{id}");
    }
    assert_eq!(a.counts(), b.counts());
    assert_eq!(a.clock().root(), b.clock().root());
    assert_eq!(a.known_peers(at(2_000)), b.known_peers(at(2_000)));
}

#[test]
fn records_bring_everything_back_in_any_order_and_more_than_once() {
    let (me, records) = history();
    assert!(me.counts().assigned > 0 && me.counts().pending > 0);
    assert_same(&replayed(&records, 2_000), &me);
    assert_same(&replayed(records.iter().rev(), 2_000), &me);
    assert_same(&replayed(records.iter().chain(&records), 2_000), &me);
    for turn in 1..records.len() {
        let (late, early) = records.split_at(turn);
        assert_same(&replayed(early.iter().chain(late), 2_000), &me);
    }
}

#[test]
fn a_snapshot_in_pieces_stands_for_the_records_before_it() {
    let (me, records) = history();
    let (mut chunks, mut cursor) = (Vec::new(), None);
    loop {
        let (bytes, next) = me.snapshot(cursor.as_deref(), 2, at(2_000));
        chunks.push(bytes);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(chunks.len() > 2);
    let mut node = node("me");
    let last = records.last().unwrap().sequence;
    for bytes in &chunks {
        node.replay(last, KIND_WORKFLOWS, bytes, at(2_000)).unwrap();
    }
    for record in &records {
        node.replay(record.sequence, record.kind, &record.bytes, at(2_000)).unwrap();
    }
    assert_same(&node, &me);
    let fresh = change(node.submit(at(2_000), task("fresh")));
    assert!(fresh.sequence > last, "sequences go on");
}

#[test]
fn who_holds_a_task_has_time_after_a_restart_and_peers_are_not_silent_yet() {
    let (_, records) = history();
    let long = 40 * 86_400_000;
    let mut node = replayed(&records, long);
    let assigned = node.counts().assigned;
    assert_eq!(tick(&mut node, at(long + 29_999)).overdue, 0);
    assert_eq!(tick(&mut node, at(long + 29_999)).taken_over, 0);
    assert!(node.known_peers(at(long))[0].is_member);
    let overdue = tick(&mut node, at(long + 30_000)).overdue;
    assert!(overdue > 0 && overdue <= assigned);
}

#[test]
fn what_is_no_record_is_refused() {
    let mut node = node("me");
    assert!(node.replay(1, 1, b"\x01{}", at(0)).is_err());
    for bytes in [&b""[..], b"\x02{}", b"\x01", b"\x01{\"tasks\":[{}]}", b"\x01[1]x"] {
        assert!(node.replay(1, KIND_WORKFLOWS, bytes, at(0)).is_err(), "{bytes:?}");
    }
}
