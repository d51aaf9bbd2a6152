//! What is damaged behind the journal's back: refused loudly where it was durable, and never served as something else.

use std::collections::BTreeSet;

use super::super::names::Name;
use super::super::{JournalError, Opened, Record, Report, Settings, dump, open, verify};
use super::disk::SimDisk;
use super::random::Random;
use super::tasks::{run_all, run_one, sleep};

pub(super) fn settings() -> Settings {
    let (segment_bytes, reserve_bytes, max_record_bytes) = (8 << 10, 2 << 10, 1 << 10);
    let idle_time = std::time::Duration::from_millis(100);
    Settings {
        logs: 2,
        segment_bytes,
        reserve_bytes,
        max_record_bytes,
        idle_time,
        salt: 5,
        ..Settings::default()
    }
}

pub(super) fn opened(disk: &SimDisk, settings: Settings) -> Result<Opened, JournalError> {
    run_one(open(disk, settings), || false).unwrap()
}

fn record(sequence: u64) -> Record {
    Record { sequence, kind: 7, bytes: vec![sequence as u8; 100 + sequence as usize % 300] }
}

/// Writes these records one after the other, every other one to the second log, with a snapshot before one of them. A
/// journal that is not stopped ends as with a SIGKILL.
pub(super) fn fill(disk: &SimDisk, sequences: std::ops::Range<u64>, snapshot_at: Option<u64>, stop: bool) {
    let journal = opened(disk, settings()).unwrap().journal;
    let (mut logs, mut tasks) = (Vec::new(), Vec::new());
    for log in 0..2 {
        let (log, driver) = run_one(journal.start_log(log, disk.clone(), sleep), || false).unwrap().unwrap();
        logs.push(log);
        tasks.push(Box::pin(async move { driver.run().await.unwrap() })
            as std::pin::Pin<Box<dyn Future<Output = ()>>>);
    }
    let done = std::cell::Cell::new(false);
    tasks.push(Box::pin(async {
        for sequence in sequences {
            if snapshot_at == Some(sequence) {
                let mut snapshot = journal.begin_snapshot(disk.clone(), sequence - 1).await.unwrap();
                let state: Vec<_> = (1..sequence).map(record).collect();
                snapshot.write_chunk(&state).await.unwrap();
                snapshot.finish().await.unwrap();
            }
            logs[sequence as usize % 2].append(record(sequence), true).unwrap().await.unwrap();
        }
        if stop {
            logs.iter().for_each(super::super::Log::stop);
        } else {
            done.set(true);
        }
    }));
    run_all(&mut Random::new(1), tasks, || done.get());
}

/// Everything that a start would serve. Panics where a record is not what was written.
fn served(disk: &SimDisk) -> Result<(BTreeSet<u64>, Report), JournalError> {
    let mut sequences = BTreeSet::new();
    let report = run_one(
        dump(disk, |dumped| {
            assert_eq!(dumped.record.to_record(), record(dumped.record.sequence));
            sequences.insert(dumped.record.sequence);
        }),
        || false,
    )
    .unwrap()?;
    Ok((sequences, report))
}

fn segments(disk: &SimDisk) -> Vec<String> {
    disk.files().into_keys().filter(|name| matches!(Name::parse(name), Some(Name::Segment(..)))).collect()
}

#[test]
fn what_was_kept_is_found_by_more_and_by_fewer_logs() {
    let disk = SimDisk::instant(1);
    fill(&disk, 1..60, None, true);
    for logs in [5, 1, 2] {
        let found = opened(&disk, Settings { logs, ..settings() }).unwrap();
        let sequences: Vec<_> = found.recovered.records().map(|record| record.sequence).collect();
        assert!(sequences.into_iter().eq(1..60));
        assert_eq!(found.recovered.next_sequence(), 60);
    }
    fill(&disk, 60..100, Some(80), false);
    let (sequences, report) = served(&disk).unwrap();
    assert!(sequences.into_iter().eq(1..100));
    assert_eq!((report.snapshot_sequence, report.snapshot_records, report.records), (79, 79, 20));
    // The snapshot let go of everything before it.
    assert!(segments(&disk).iter().all(|name| name.starts_with("log-00000002")), "{:?}", segments(&disk));
    assert_eq!(run_one(verify(&disk), || false).unwrap().unwrap(), report);
}

#[test]
fn a_flipped_bit_in_what_was_durable_is_refused_and_named() {
    let disk = SimDisk::instant(2);
    fill(&disk, 1..40, Some(20), true);
    let mut random = Random::new(3);
    let mut refused = 0;
    for (name, bytes) in disk.files().into_iter().filter(|(name, _)| name != "FORMAT") {
        // The last batch of a log is empty: nothing in it can be lost, and nothing says that it was durable.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let used = if name.ends_with(".seg") { (used - 1) / 512 * 512 } else { used };
        for _ in 0..300 {
            let at = random.below(used as u64) as usize;
            disk.alter(&name, |bytes| bytes[at] ^= 1 << random.below(8));
            let before = disk.files();
            let error = opened(&disk, settings()).unwrap_err();
            assert!(error.to_string().contains(&name), "{name} byte {at}: {error}");
            assert_eq!(disk.files(), before, "a refusal changes nothing");
            disk.alter(&name, |old| old.clone_from(&bytes));
            refused += 1;
        }
    }
    assert!(refused >= 4 * 300);
    served(&disk).unwrap();
}

#[test]
fn lost_files_are_missed() {
    let disk = SimDisk::instant(4);
    fill(&disk, 1..150, None, true);
    let names = segments(&disk);
    assert!(names.len() >= 6, "{names:?}");
    // Of the newest segment of a log nothing tells that there was more; all others are missed.
    let newest = |name: &String| !names.iter().any(|other| other > name && other[..18] == name[..18]);
    for name in names.iter().filter(|name| !newest(name)) {
        let error = served(&without(&disk, name)).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
}

/// As an interrupted copy leaves a file: no crash does, because the length is durable before the first batch.
#[test]
fn a_segment_that_ends_within_a_batch_is_refused_and_named() {
    let disk = SimDisk::instant(15);
    fill(&disk, 1..40, None, true);
    for name in segments(&disk) {
        let whole = disk.files()[&name].clone();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
        for len in (600..used).step_by(100).filter(|len| len % 512 != 0) {
            disk.alter(&name, |bytes| bytes.truncate(len));
            let error = served(&disk).unwrap_err().to_string();
            assert!(error.contains(&name), "{len} bytes: {error}");
        }
        disk.alter(&name, |bytes| bytes.clone_from(&whole));
    }
    // What a start cuts off itself is no damage, whether it came further or not.
    fill(&disk, 40..44, None, false);
    run_one(open(&disk, settings()), || false).unwrap().unwrap();
    assert_eq!(served(&disk).unwrap().0.len(), 43);
}

#[test]
fn a_log_that_the_snapshot_points_into_is_missed() {
    let disk = SimDisk::instant(14);
    fill(&disk, 1..8, Some(5), true);
    assert_eq!(segments(&disk).len(), 2);
    for name in segments(&disk) {
        let lost = without(&disk, &name);
        assert!(served(&lost).unwrap_err().to_string().contains("which the snapshot names"));
        opened(&lost, Settings { repair: true, ..settings() }).unwrap();
        assert!(served(&lost).unwrap().0.len() >= 4);
    }
}

fn without(disk: &SimDisk, name: &str) -> SimDisk {
    let lost = SimDisk::instant(5);
    copy(disk, &lost, |other| other != name);
    lost
}

fn copy(from: &SimDisk, to: &SimDisk, which: impl Fn(&str) -> bool) {
    for (name, bytes) in from.files().into_iter().filter(|(name, _)| which(name)) {
        run_one(super::super::mend::put(to, &name, bytes), || false).unwrap().unwrap();
    }
}

/// Recovery over damaged bytes of every kind never panics, serves nothing that was not written, and after a repair serves
/// again and again the same.
#[test]
fn mutated_files_never_panic_and_never_serve_what_was_not_written() {
    let origin = SimDisk::instant(6);
    fill(&origin, 1..60, Some(30), false);
    let all: BTreeSet<u64> = (1..60).collect();
    let (mut refused, mut repaired) = (0, 0);
    for seed in 0..1_000 {
        let (disk, mut random) = (SimDisk::instant(seed), Random::new(seed));
        copy(&origin, &disk, |_| true);
        for _ in 0..1 + random.below(3) {
            mutate(&disk, &mut random);
        }
        match served(&disk) {
            Ok((sequences, _)) => assert!(sequences.is_subset(&all)),
            Err(_) => refused += 1,
        }
        let found = opened(&disk, Settings { repair: true, ..settings() });
        let Ok(found) = found else { continue };
        repaired += 1;
        let keys: BTreeSet<u64> = found
            .recovered
            .snapshot_records()
            .chain(found.recovered.records())
            .map(|found| found.sequence)
            .collect();
        let (again, _) = served(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(again, keys, "seed {seed}");
    }
    assert!(refused > 450 && repaired > 850, "{refused} {repaired}");
}

fn mutate(disk: &SimDisk, random: &mut Random) {
    let names: Vec<String> = disk.files().into_keys().collect();
    let name = &names[random.below(names.len() as u64) as usize];
    let kind = random.below(6);
    if kind == 5 {
        disk.lose(name);
        return;
    }
    disk.alter(name, |bytes| {
        let len = bytes.len().max(1) as u64;
        let (from, to) = (random.below(len) as usize, random.below(len) as usize);
        let (from, to) = (from.min(bytes.len()), to.min(bytes.len()));
        match kind {
            0 => bytes.truncate(from),
            1 if from < to => bytes.copy_within(from..to, 0),
            2 if from < to => bytes[from..to].fill(0),
            3 if from < bytes.len() => bytes[from] = random.next() as u8,
            _ if from < to => bytes[from..to].iter_mut().for_each(|byte| *byte = random.next() as u8),
            _ => {}
        }
    });
}

#[test]
fn a_repair_serves_what_is_whole_and_sets_the_rest_aside() {
    let disk = SimDisk::instant(7);
    fill(&disk, 1..40, None, true);
    let name = segments(&disk).remove(0);
    disk.alter(&name, |bytes| bytes[512 * 3] ^= 1);
    let before = disk.files();
    assert!(opened(&disk, settings()).is_err());
    let found = opened(&disk, Settings { repair: true, ..settings() }).unwrap();
    assert_eq!(found.recovered.records().count(), 38);
    assert!(found.recovered.report.damaged_files >= 1);
    assert_eq!(disk.files()[&format!("{name}.damaged")], before[&name]);
    assert_eq!(served(&disk).unwrap().0.len(), 38);
}

#[test]
fn another_format_is_refused_and_says_what_is_read() {
    let disk = SimDisk::instant(8);
    fill(&disk, 1..3, None, true);
    disk.alter("FORMAT", |bytes| *bytes = b"ringmesh journal format 2\n".to_vec());
    let error = opened(&disk, settings()).unwrap_err().to_string();
    assert_eq!(error, "the journal has format 2, which this build does not read; it reads format 1");
    disk.lose("FORMAT");
    assert!(opened(&disk, settings()).unwrap_err().to_string().contains("FORMAT"));
}
