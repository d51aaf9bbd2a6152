#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use super::super::settings::Mode;
use super::*;

const ID: LogId = LogId { generation: 1, log: 0 };

fn committer(mode: Mode) -> Committer {
    let (segment_bytes, reserve_bytes) = (8_192, 2_048);
    let settings = Settings {
        mode,
        segment_bytes,
        reserve_bytes,
        max_record_bytes: 2_000,
        max_batch_bytes: 2_048,
        max_waiting_bytes: 8_000,
        ..Settings::default()
    };
    Committer::new(ID, &settings)
}

fn record(sequence: u64, len: usize) -> Record {
    Record { sequence, kind: 1, bytes: vec![1; len] }
}

fn sequences(step: &Step) -> Vec<u64> {
    let Step::Write(_, bytes) = step else { panic!("{step:?} is no write") };
    batch::decode(bytes, ID, 9).unwrap().records().map(|record| record.sequence).collect()
}

fn finish(committer: &mut Committer, step: Step) {
    let Step::Write(_, bytes) = step else { panic!("{step:?} is no write") };
    committer.written(bytes);
    committer.synced();
}

#[test]
fn everything_that_waits_is_one_batch_and_told_after_the_sync() {
    let mut committer = committer(Mode::Always);
    let tickets: Vec<_> = (1..=3).map(|n| committer.push(record(n, 10), true).unwrap()).collect();
    assert_eq!(committer.next_step(), Step::Roll);
    committer.enter(9);
    let step = committer.next_step();
    assert_eq!(sequences(&step), [1, 2, 3]);
    let later = committer.push(record(4, 10), true).unwrap();
    let Step::Write(offset, bytes) = step else { unreachable!() };
    assert_eq!((offset, bytes.len()), (512, 512));
    committer.written(bytes);
    assert_eq!(committer.verdict(tickets[0]), None);
    committer.synced();
    assert!(tickets.iter().all(|ticket| committer.verdict(*ticket) == Some(Ok(()))));
    assert_eq!(committer.verdict(later), None);
    assert_eq!(sequences(&committer.next_step()), [4]);
    assert_eq!(committer.next_step(), Step::Idle);
}

#[test]
fn the_other_modes_tell_after_the_write() {
    for mode in [Mode::None, Mode::Interval(std::time::Duration::from_secs(1))] {
        let mut committer = committer(mode);
        let ticket = committer.push(record(1, 10), true).unwrap();
        committer.enter(9);
        let Step::Write(_, bytes) = committer.next_step() else { panic!() };
        assert_eq!(committer.verdict(ticket), None);
        committer.written(bytes);
        assert_eq!(committer.verdict(ticket), Some(Ok(())));
        assert!(committer.is_dirty());
    }
}

#[test]
fn an_empty_batch_says_once_what_is_durable() {
    let mut committer = committer(Mode::Always);
    committer.enter(9);
    assert_eq!(committer.empty_batch(), Step::Idle);
    committer.push(record(1, 10), true).unwrap();
    let step = committer.next_step();
    finish(&mut committer, step);
    let step = committer.empty_batch();
    let Step::Write(1_024, bytes) = &step else { panic!("{step:?}") };
    let head = batch::decode(bytes, ID, 9).unwrap().head;
    assert_eq!((head.number, head.durable), (2, 1_024));
    finish(&mut committer, step);
    assert_eq!(committer.empty_batch(), Step::Idle);
}

#[test]
fn a_full_disk_refuses_some_and_serves_others_from_the_reserve() {
    let mut committer = committer(Mode::Always);
    committer.enter(9);
    let some = committer.push(record(1, 10), true).unwrap();
    let other = committer.push(record(2, 10), false).unwrap();
    assert_eq!(committer.disk_full(), 1);
    assert_eq!(committer.verdict(some), Some(Err(AppendError::DiskFull)));
    assert_eq!(committer.push(record(3, 10), true), Err(AppendError::DiskFull));
    let step = committer.next_step();
    assert_eq!(sequences(&step), [2]);
    finish(&mut committer, step);
    assert_eq!(committer.verdict(other), Some(Ok(())));
    committer.has_room();
    committer.push(record(4, 10), true).unwrap();
    assert_eq!(committer.refuse_all(), 1);
    assert_eq!(committer.next_step(), Step::Idle);
}

#[test]
fn batches_and_segments_hold_what_fits() {
    let mut committer = committer(Mode::Always);
    committer.enter(9);
    for n in 1..=4 {
        committer.push(record(n, 1_800), false).unwrap();
    }
    for n in 1..=3 {
        assert!(!committer.wants_spare());
        let step = committer.next_step();
        assert_eq!(sequences(&step), [n]);
        finish(&mut committer, step);
    }
    assert!(committer.wants_spare());
    assert_eq!(committer.next_step(), Step::Roll);
    let end = committer.end();
    committer.enter(9);
    assert_eq!(committer.end(), end + 512);
    assert_eq!(sequences(&committer.next_step()), [4]);
}

#[test]
fn what_waits_is_bounded() {
    let mut committer = committer(Mode::Always);
    assert_eq!(committer.push(record(1, 2_001), false), Err(AppendError::TooLarge(2_000)));
    for n in 1..=3 {
        committer.push(record(n, 2_000), false).unwrap();
    }
    assert_eq!(committer.push(record(4, 2_000), false), Err(AppendError::Busy));
    committer.push(record(4, 1_000), false).unwrap();
}
