//! What the logs of all cores share: the poison, the counts, and which segments hold what.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::committer::Committer;
use super::driver::Driver;
use super::error::JournalError;
use super::folder::Folder;
use super::log::Log;
use super::names::{LogId, Name};
use super::poison::Poison;
use super::segments::Segments;
use super::settings::{Rule, Settings};
use super::snapshot::Position;

/// A journal that is open. Each core starts its log from it.
#[derive(Debug)]
pub struct Journal {
    pub(super) settings: Settings,
    pub(super) generation: u32,
    pub(super) poison: Poison,
    pub(super) snapshot_runs: AtomicBool,
    logs: Vec<Shared>,
    /// Logs of former starts; all of them are older than any snapshot to come.
    former: Mutex<Vec<LogId>>,
}

/// One log, as the others see it.
#[derive(Debug, Default)]
struct Shared {
    segments: Mutex<Vec<SegmentNote>>,
    counts: Counters,
}

/// A segment in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentNote {
    pub(super) number: u32,
    pub(super) base: u64,
    /// No record in it has a higher sequence.
    pub(super) newest: u64,
}

/// Counts of one log, written by its core alone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    pub(super) batches: AtomicU64,
    pub(super) empty_batches: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) disk_full: AtomicU64,
    pub(super) busy: AtomicU64,
}

/// What all logs did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Batches with records.
    pub batches: u64,
    /// Batches without, of idle logs.
    pub empty_batches: u64,
    /// Records written.
    pub records: u64,
    /// Bytes of all batches.
    pub bytes: u64,
    /// Times that a log waited for the medium.
    pub syncs: u64,
    /// Records refused because no segment could be reserved.
    pub disk_full: u64,
    /// Records refused because too many bytes waited.
    pub busy: u64,
}

impl Journal {
    pub(super) fn new(settings: Settings, generation: u32, former: Vec<LogId>) -> Self {
        let logs = (0..settings.logs).map(|_| Shared::default()).collect();
        let (poison, snapshot_runs) = (Poison::default(), AtomicBool::new(false));
        Self { settings, generation, poison, snapshot_runs, logs, former: Mutex::new(former) }
    }

    /// Starts the log of one core, from 0 to `logs` - 1, each once. Run its driver on the same thread; `sleep` gives the
    /// timers of that thread.
    ///
    /// # Errors
    /// The log's first segment cannot be made.
    pub async fn start_log<F: Folder, S>(
        self: &Arc<Self>,
        log: u32,
        folder: F,
        sleep: S,
    ) -> Result<(Log, Driver<F, S>), JournalError> {
        self.start_with(log, folder, sleep, self.settings.mode.rule()).await
    }

    pub(super) async fn start_with<F: Folder, S>(
        self: &Arc<Self>,
        log: u32,
        folder: F,
        sleep: S,
        rule: Rule,
    ) -> Result<(Log, Driver<F, S>), JournalError> {
        if log >= self.settings.logs {
            return Err(JournalError::Settings(format!(
                "the journal has {} logs, not {}",
                self.settings.logs,
                log + 1
            )));
        }
        let id = LogId { generation: self.generation, log };
        let mut committer = Committer::with_rule(id, &self.settings, rule);
        let segments = Segments::start(folder, id, Arc::clone(self), &mut committer).await?;
        let handle = Log::new(committer, Arc::clone(self), log);
        Ok((handle.clone(), Driver::new(handle, segments, sleep, rule)))
    }

    /// What ends all logs: set by the first failed write or fsync.
    pub fn poison(&self) -> &Poison {
        &self.poison
    }

    /// The number of this start among all that wrote to the directory.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What all logs did since the start.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.logs.iter().for_each(|log| sum += log.counts.read());
        sum
    }

    pub(super) fn counters(&self, log: u32) -> &Counters {
        &self.logs[log as usize].counts
    }

    /// The checksums' salt of a file: one that is used for no other.
    pub(super) fn salt(&self, id: LogId, segment: u32) -> u64 {
        let mut mixed = self.settings.salt ^ u64::from(id.generation) << 32 ^ u64::from(id.log);
        for word in [u64::from(segment), u64::from(id.log)] {
            mixed = (mixed ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
        }
        mixed
    }

    fn segments(&self, log: u32) -> MutexGuard<'_, Vec<SegmentNote>> {
        self.logs[log as usize].segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_segment(&self, log: u32, note: SegmentNote) {
        self.segments(log).push(note);
    }

    /// Records up to this sequence may be in the log's newest segment from now on.
    pub(super) fn note_newest(&self, log: u32, sequence: u64) {
        if let Some(last) = self.segments(log).last_mut() {
            last.newest = last.newest.max(sequence);
        }
    }

    /// Where each log goes on behind a snapshot of everything up to `sequence`.
    pub(super) fn positions(&self, sequence: u64) -> Vec<Position> {
        let former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        let mut positions: Vec<_> = former.iter().map(|id| Position { id: *id, offset: u64::MAX }).collect();
        drop(former);
        for log in 0..self.settings.logs {
            let segments = self.segments(log);
            // The newest segment stays in any case: it is being written.
            if let Some(first) = segments.iter().find(|note| note.newest > sequence).or(segments.last()) {
                let id = LogId { generation: self.generation, log };
                positions.push(Position { id, offset: first.base });
            }
        }
        positions
    }

    /// Takes the segments that lie before these positions out of the table, and gives their names.
    pub(super) fn take_covered(&self, positions: &[Position]) -> Vec<String> {
        let mut names = Vec::new();
        for position in positions.iter().filter(|position| position.id.generation == self.generation) {
            self.segments(position.id.log).retain(|note| {
                let stays = note.base >= position.offset;
                if !stays {
                    names.push(Name::Segment(position.id, note.number).to_string());
                }
                stays
            });
        }
        names
    }

    /// The logs of former starts are covered and gone.
    pub(super) fn forget_former(&self) {
        self.former.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            batches: of(&self.batches),
            empty_batches: of(&self.empty_batches),
            records: of(&self.records),
            bytes: of(&self.bytes),
            syncs: of(&self.syncs),
            disk_full: of(&self.disk_full),
            busy: of(&self.busy),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.batches += other.batches;
        self.empty_batches += other.empty_batches;
        self.records += other.records;
        self.bytes += other.bytes;
        self.syncs += other.syncs;
        self.disk_full += other.disk_full;
        self.busy += other.busy;
    }
}
