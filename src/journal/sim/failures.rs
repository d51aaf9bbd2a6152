//! A disk that is full, and one that fails.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use super::super::{AppendError, JournalError, Log, Mode, Poisoned, Record, Settings};
use super::damage::{fill, opened, settings};
use super::disk::{Faults, SimDisk};
use super::random::Random;
use super::tasks::{run_all, run_one, sleep, turn};

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn record(sequence: u64) -> Record {
    Record { sequence, kind: 1, bytes: vec![3; 400] }
}

#[test]
fn a_full_disk_refuses_what_can_be_refused_and_keeps_the_rest_while_it_can() {
    let disk = SimDisk::instant(1);
    let larger = Settings { segment_bytes: 12 << 10, reserve_bytes: 5 << 10, ..settings() };
    let journal = opened(&disk, larger).unwrap().journal;
    let (log, driver) = run_one(journal.start_log(0, disk.clone(), sleep), || false).unwrap().unwrap();
    disk.set_faults(Faults { room: Some(14 << 10), ..Faults::default() });
    let test = async {
        let mut sequence = 0;
        let mut append = |refusable| {
            sequence += 1;
            let log = log.clone();
            async move { log.append(record(sequence), refusable)?.await }
        };
        let mut kept = 0;
        while append(true).await.is_ok() {
            kept += 1;
        }
        assert!(log.is_full() && kept >= 4, "{kept}");
        assert_eq!(append(true).await, Err(AppendError::DiskFull));
        let mut reserve = 0;
        while append(false).await.is_ok() {
            reserve += 1;
        }
        assert!(reserve >= 1, "{reserve}");
        assert_eq!(append(false).await, Err(AppendError::DiskFull));
        assert_eq!(journal.poison().reason(), None);
        disk.set_faults(Faults::default());
        while log.is_full() {
            turn().await;
        }
        assert_eq!(append(true).await, Ok(()));
        log.stop();
        assert!(journal.counts().disk_full >= 4);
        kept + reserve + 1
    };
    let kept = RefCell::new(0);
    let tasks: Vec<Task<'_>> = vec![
        Box::pin(async { *kept.borrow_mut() = test.await }),
        Box::pin(async { driver.run().await.unwrap() }),
    ];
    run_all(&mut Random::new(1), tasks, || false);
    assert_eq!(opened(&disk, settings()).unwrap().recovered.records().count(), *kept.borrow());
}

/// Whichever write or sync fails first: both logs end, nothing is acknowledged after it, and what was is found again.
#[test]
fn the_first_failure_ends_all_logs_and_loses_nothing_acknowledged() {
    let mut failures = 0;
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let journal = opened(&disk, settings()).unwrap().journal;
        let mut logs: Vec<Log> = Vec::new();
        let ends = Rc::new(RefCell::new(Vec::<Result<(), Poisoned>>::new()));
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for index in 0..2 {
            let (log, driver) =
                run_one(journal.start_log(index, disk.clone(), sleep), || false).unwrap().unwrap();
            logs.push(log);
            let ends = Rc::clone(&ends);
            tasks.push(Box::pin(async move {
                let end = driver.run().await;
                ends.borrow_mut().push(end);
            }));
        }
        disk.set_faults(Faults { fail_at: Some(1 + seed % 60), ..Faults::default() });
        let kept = Rc::new(RefCell::new(Vec::new()));
        for (index, log) in logs.into_iter().enumerate() {
            let kept = Rc::clone(&kept);
            tasks.push(Box::pin(async move {
                for sequence in (1..).map(|count| 2 * count + index as u64) {
                    let Ok(durable) = log.append(record(sequence), sequence.is_multiple_of(3)) else { break };
                    let result = durable.await;
                    if result.is_err() {
                        assert_eq!(result, Err(AppendError::Poisoned));
                        break;
                    }
                    kept.borrow_mut().push(sequence);
                }
                assert_eq!(log.append(record(1), false).unwrap_err(), AppendError::Poisoned);
            }));
        }
        run_all(&mut Random::new(seed), tasks, || false);
        assert!(ends.borrow().len() == 2 && ends.borrow().iter().all(Result::is_err));
        failures += 1;
        disk.crash();
        let recovered = opened(&disk, settings()).unwrap().recovered;
        let found: Vec<u64> = recovered.records().map(|record| record.sequence).collect();
        assert!(kept.borrow().iter().all(|sequence| found.contains(sequence)), "seed {seed}");
    }
    assert_eq!(failures, 400);
}

#[test]
fn a_snapshot_without_room_costs_nothing_but_itself() {
    let disk = SimDisk::instant(3);
    fill(&disk, 1..10, None, true);
    let journal = opened(&disk, settings()).unwrap().journal;
    let begin = || run_one(journal.begin_snapshot(disk.clone(), 9), || false).unwrap();
    let first = begin().unwrap();
    assert!(matches!(begin(), Err(JournalError::Settings(_))), "one at a time");
    drop(first);
    disk.set_faults(Faults { room: Some(0), ..Faults::default() });
    // The simulated disk counts room when a file is made.
    assert_eq!(journal.poison().reason(), None);
    disk.set_faults(Faults { fail_at: Some(1), ..Faults::default() });
    assert!(begin().is_err());
    assert!(journal.poison().reason().is_some());
}

#[test]
fn an_idle_log_says_that_everything_is_durable_and_then_rests() {
    let disk = SimDisk::instant(4);
    let journal = opened(&disk, settings()).unwrap().journal;
    let (log, driver) = run_one(journal.start_log(0, disk.clone(), sleep), || false).unwrap().unwrap();
    let test = async {
        log.append(record(1), false).unwrap().await.unwrap();
        for _ in 0..200 {
            turn().await;
        }
        let counts = journal.counts();
        assert_eq!((counts.batches, counts.empty_batches), (1, 1));
        log.stop();
    };
    let tasks: Vec<Task<'_>> = vec![Box::pin(test), Box::pin(async { driver.run().await.unwrap() })];
    run_all(&mut Random::new(2), tasks, || false);
    assert_eq!(journal.counts().empty_batches, 1);
}

#[test]
fn a_dropped_driver_ends_its_log() {
    let disk = SimDisk::instant(5);
    let journal = opened(&disk, settings()).unwrap().journal;
    let (log, driver) = run_one(journal.start_log(0, disk.clone(), sleep), || false).unwrap().unwrap();
    let waiting = log.append(record(1), false).unwrap();
    {
        let mut run = Box::pin(driver.run());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        disk.set_faults(Faults { crash_after: Some(0), ..Faults::default() });
        assert!(run.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(run_one(waiting, || false).unwrap(), Err(AppendError::Closed));
    assert_eq!(log.append(record(2), false).unwrap_err(), AppendError::Closed);
}

/// What was acknowledged outlives a loss of power once its time is over, and a stop at once, in every mode.
#[test]
fn the_other_modes_sync_in_time_and_at_a_stop() {
    let interval = Mode::Interval(std::time::Duration::from_millis(100));
    for (mode, is_stopped) in [(interval, false), (interval, true), (Mode::None, true)] {
        for seed in 0..50 {
            let disk = SimDisk::instant(seed);
            let journal = opened(&disk, Settings { mode, ..settings() }).unwrap().journal;
            let (log, driver) =
                run_one(journal.start_log(0, disk.clone(), sleep), || false).unwrap().unwrap();
            let done = std::cell::Cell::new(false);
            let test = async {
                log.append(record(1), false).unwrap().await.unwrap();
                for _ in 0..if is_stopped { 0 } else { 30 } {
                    turn().await;
                }
                if is_stopped { log.stop() } else { done.set(true) }
            };
            let tasks: Vec<Task<'_>> = vec![Box::pin(test), Box::pin(async { driver.run().await.unwrap() })];
            run_all(&mut Random::new(seed), tasks, || done.get());
            disk.crash();
            let recovered = opened(&disk, settings()).unwrap().recovered;
            assert_eq!(recovered.records().count(), 1, "{mode:?} {is_stopped} seed {seed}");
        }
    }
}

#[test]
fn a_verdict_that_nobody_waits_for_is_not_kept() {
    let disk = SimDisk::instant(6);
    let journal = opened(&disk, settings()).unwrap().journal;
    let (log, driver) = run_one(journal.start_log(0, disk.clone(), sleep), || false).unwrap().unwrap();
    drop(log.append(record(1), true).unwrap());
    assert_eq!(log.with(|log| (log.disk_full(), log.refused().count())), (1, 0));
    let waiting = log.append(record(2), false).unwrap();
    assert_eq!(log.with(|log| (log.refuse_all(), log.refused().count())), (1, 1));
    drop(waiting);
    assert_eq!(log.with(|log| log.refused().count()), 0);
    drop(driver);
}
