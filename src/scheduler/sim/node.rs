//! A node of the simulation: a scheduler, a disk, and changes on their way to it.

use std::collections::BTreeSet;

use super::super::mutant::Mutant;
use super::super::{Scheduler, Settings};
use crate::queue::{Change, Now, Sequencer};

/// What is on the disk: a snapshot and the records after it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    chunks: Vec<Vec<u8>>,
    records: Vec<Change>,
}

/// A snapshot that is being taken: the sequence that it names, its chunks, where it goes on.
type Snapshot = (u64, Vec<Vec<u8>>, Option<std::sync::Arc<str>>);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) scheduler: Scheduler,
    pub(super) is_up: bool,
    pub(super) is_dead: bool,
    /// How often it has started; what belongs to an earlier start is void.
    pub(super) start: u64,
    pub(super) flight: Vec<Change>,
    /// Completions that a client was told of.
    pub(super) promised: BTreeSet<String>,
    sequencer: Sequencer,
    disk: Disk,
    snapshot: Option<Snapshot>,
    started_ms: u64,
    skew_ms: u64,
    mutant: Option<Mutant>,
}

fn settings() -> Settings {
    Settings { assignment_ms: 200_000, peer_record_ms: 200_000, max_fetch_tasks: 3, ..Settings::default() }
}

impl Node {
    pub(super) fn new(id: String, skew_ms: u64, mutant: Option<Mutant>) -> Node {
        let sequencer = Sequencer::default();
        let mut scheduler = Scheduler::new(&id, settings(), sequencer.clone(), 0);
        scheduler.mutant = mutant;
        Node {
            scheduler,
            id,
            is_up: true,
            is_dead: false,
            start: 0,
            flight: Vec::new(),
            promised: BTreeSet::new(),
            sequencer,
            disk: Disk::default(),
            snapshot: None,
            started_ms: 0,
            skew_ms,
            mutant,
        }
    }

    /// Its clocks: the monotonic one begins anew with each start, the other one is askew.
    pub(super) fn now(&self, at_ms: u64) -> Now {
        let mono_ms = (at_ms - self.started_ms) as i64 + self.start as i64 * 7;
        Now { mono_ms, wall_ms: 1_700_000_000_000 + at_ms + self.skew_ms }
    }

    /// Takes a change from its flight to the disk.
    pub(super) fn land(&mut self, sequence: u64) -> bool {
        let Some(at) = self.flight.iter().position(|change| change.sequence == sequence) else {
            return false;
        };
        let change = self.flight.swap_remove(at);
        self.disk.records.push(change);
        true
    }

    /// Gives up a change that may be refused.
    pub(super) fn refuse(&mut self, sequence: u64) -> bool {
        let at = self.flight.iter().position(|change| change.sequence == sequence && change.refusable);
        at.map(|at| self.flight.swap_remove(at)).is_some()
    }

    /// The process ends. Of what was being written, some is on the disk.
    pub(super) fn crash(&mut self, mut is_written: impl FnMut() -> bool) {
        self.is_up = false;
        self.snapshot = None;
        for change in std::mem::take(&mut self.flight) {
            if is_written() {
                self.disk.records.push(change);
            }
        }
    }

    /// It starts again with what its disk has; some of it is read twice.
    pub(super) fn recover(&mut self, at_ms: u64, mut is_read_twice: impl FnMut() -> bool) {
        self.start += 1;
        self.started_ms = at_ms;
        self.is_up = true;
        self.sequencer = Sequencer::default();
        let mut scheduler = Scheduler::new(&self.id, settings(), self.sequencer.clone(), self.start);
        scheduler.mutant = self.mutant;
        let now = self.now(at_ms);
        for bytes in &self.disk.chunks {
            scheduler.replay(0, super::super::KIND_WORKFLOWS, bytes, now).unwrap();
        }
        self.disk.records.sort_by_key(|record| record.sequence);
        let mut records: Vec<_> = self.disk.records.iter().collect();
        let again: Vec<_> = records.iter().copied().filter(|_| is_read_twice()).collect();
        records.extend(again);
        for record in records {
            scheduler.replay(record.sequence, record.kind, &record.bytes, now).unwrap();
        }
        scheduler.replayed();
        self.scheduler = scheduler;
    }

    /// One piece of a snapshot; what it covers then leaves the disk.
    pub(super) fn snapshot_step(&mut self, at_ms: u64) {
        let now = self.now(at_ms);
        let Some((sequence, chunks, cursor)) = &mut self.snapshot else {
            let sequence = self.sequencer.last();
            if !self.scheduler.is_pending_up_to(sequence) {
                let (bytes, cursor) = self.scheduler.snapshot(None, 2, now);
                self.snapshot = Some((sequence, vec![bytes], cursor));
            }
            return;
        };
        if let Some(from) = cursor.take() {
            let (bytes, next) = self.scheduler.snapshot(Some(&from), 2, now);
            chunks.push(bytes);
            *cursor = next;
            return;
        }
        self.disk.chunks = std::mem::take(chunks);
        let sequence = *sequence;
        self.disk.records.retain(|record| record.sequence > sequence);
        self.snapshot = None;
    }
}
