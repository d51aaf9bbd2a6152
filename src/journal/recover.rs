//! What all files together say, and what has to be done to them: pure, from names and bytes alone.

use std::collections::BTreeMap;
use std::mem;

use super::batch::RecordRef;
use super::error::JournalError;
use super::header::{Header, Kind, NoHeader};
use super::mend::Mend;
use super::names::{LogId, Name};
use super::scan::{self, Scan};

mod chain;
mod snapshots;

use chain::{Chain, Segment};
use snapshots::Base;

/// What was found, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The sequence that the snapshot covers; 0 without one.
    pub snapshot_sequence: u64,
    /// Records of the snapshot.
    pub snapshot_records: u64,
    /// Logs that hold something newer.
    pub logs: u64,
    /// Their segments.
    pub segments: u64,
    /// Their batches, the empty ones too.
    pub batches: u64,
    /// Their records that the snapshot does not cover.
    pub records: u64,
    /// Bytes at the ends of logs that a crash had left in pieces. They were never acknowledged; they are kept in `.cut`
    /// files.
    pub cut_bytes: u64,
    /// Files that a repair has set aside as `.damaged`, whole or in part lost.
    pub damaged_files: u64,
}

/// Everything that outlived the last process: first the snapshot, then the records, in the order of their sequences.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What was found, counted.
    pub report: Report,
    files: Vec<Vec<u8>>,
    snapshot: Vec<Entry>,
    records: Vec<Entry>,
    newest: u64,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy)]
struct Entry {
    sequence: u64,
    start: usize,
    len: usize,
    file: usize,
    kind: u8,
}

impl Recovered {
    /// The records of the snapshot, as they were written into it.
    pub fn snapshot_records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.snapshot.iter().map(|entry| self.record(entry))
    }

    /// The records that are newer than the snapshot's sequence, by sequence. A snapshot is written while changes go on, so
    /// it may hold what some of them say already.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.records.iter().map(|entry| self.record(entry))
    }

    /// The first sequence that no record has.
    pub fn next_sequence(&self) -> u64 {
        self.newest.saturating_add(1)
    }

    /// Bytes of the snapshot's records.
    pub fn snapshot_bytes(&self) -> u64 {
        self.snapshot.iter().map(|entry| entry.len as u64).sum()
    }

    /// Bytes of the newer records.
    pub fn log_bytes(&self) -> u64 {
        self.records.iter().map(|entry| entry.len as u64).sum()
    }

    fn record(&self, entry: &Entry) -> RecordRef<'_> {
        let bytes = &self.files[entry.file][entry.start..entry.start + entry.len];
        RecordRef { sequence: entry.sequence, kind: entry.kind, bytes }
    }

    /// Takes a file in, and lists those of its records that are above a sequence.
    fn index(&mut self, segment: Segment, places: &[usize], above: Option<u64>) -> Vec<Entry> {
        let (file, mut entries) = (self.files.len(), Vec::new());
        let bytes = &segment.bytes;
        for batch in places.iter().filter_map(|at| scan::batch_at(bytes, &segment.header, *at)) {
            for record in batch.records().filter(|record| above.is_none_or(|above| record.sequence > above)) {
                let start = record.bytes.as_ptr() as usize - bytes.as_ptr() as usize;
                let len = record.bytes.len();
                entries.push(Entry { sequence: record.sequence, start, len, file, kind: record.kind });
            }
        }
        self.files.push(segment.bytes);
        entries
    }

    /// Puts the records in order, and refuses two of one sequence. The same record twice is what a repair leaves that did
    /// not come to its end.
    fn sort(&mut self) -> Result<(), JournalError> {
        let mut records = mem::take(&mut self.records);
        records.sort_by_key(|entry| entry.sequence);
        if let Some(pair) = records.windows(2).find(|pair| {
            pair[0].sequence == pair[1].sequence && self.record(&pair[0]) != self.record(&pair[1])
        }) {
            let why = format!("two records have the sequence {}", pair[0].sequence);
            return Err(JournalError::damaged("log", pair[1].start, why));
        }
        records.dedup_by_key(|entry| entry.sequence);
        self.newest = self.newest.max(records.last().map_or(0, |entry| entry.sequence));
        self.report.records = records.len() as u64;
        self.records = records;
        Ok(())
    }
}

/// What was found, what is to be done to the files, and the generation of the logs to come.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) recovered: Recovered,
    pub(super) mends: Vec<Mend>,
    pub(super) generation: u32,
    /// The logs that stay until a snapshot covers them.
    pub(super) kept: Vec<LogId>,
}

/// The files by what they are.
#[derive(Default)]
struct Sorted {
    logs: BTreeMap<LogId, BTreeMap<u32, Vec<u8>>>,
    snapshots: BTreeMap<u64, Vec<u8>>,
}

/// Reads all files together. With `repair`, damage is set aside instead of refused.
pub(super) fn plan(files: Vec<(Name, Vec<u8>)>, repair: bool) -> Result<Plan, JournalError> {
    let mut sorted = Sorted::default();
    for (name, bytes) in files {
        match name {
            Name::Segment(id, number) => {
                sorted.logs.entry(id).or_default().insert(number, bytes);
            }
            Name::Snapshot(sequence) => {
                sorted.snapshots.insert(sequence, bytes);
            }
        }
    }
    let newest = sorted.logs.keys().map(|id| id.generation).max().unwrap_or(0);
    let mut mends = Vec::new();
    let mut recovered = Recovered::default();
    let mut base = snapshots::choose(sorted.snapshots, repair, &mut recovered, &mut mends)?;
    let salvage = newest.max(base.generation).saturating_add(1);
    let mut plan = Plan { recovered, mends, generation: salvage, kept: Vec::new() };
    // A log that the snapshot points into must be there.
    for id in base.needed() {
        sorted.logs.entry(id).or_default();
    }
    for (id, segments) in sorted.logs {
        plan.take_log(id, segments, &mut base, newest, repair)?;
    }
    plan.recovered.sort()?;
    plan.mends.extend(base.rewritten(&plan.recovered));
    // What a repair wrote anew took numbers of this generation.
    if plan.kept.iter().any(|id| id.generation == salvage) {
        plan.generation = salvage.saturating_add(1);
    }
    Ok(plan)
}

impl Plan {
    fn take_log(
        &mut self,
        id: LogId,
        segments: BTreeMap<u32, Vec<u8>>,
        base: &mut Base,
        newest: u32,
        repair: bool,
    ) -> Result<(), JournalError> {
        let position = base.position(id);
        let mut chain = Chain::new(id, position, id.generation < newest);
        for (number, bytes) in segments {
            chain.add(number, bytes)?;
        }
        self.mends.extend(chain.covered().map(Mend::Remove));
        if let Err(error) = chain.check() {
            if !repair {
                return Err(error);
            }
            self.salvage(chain, base.sequence);
            base.cover(id);
            return Ok(());
        }
        self.mends.extend(chain.cut().map(|cut| {
            self.recovered.report.cut_bytes += cut.aside_bytes();
            Mend::Cut(cut)
        }));
        if !chain.is_empty() {
            self.kept.push(id);
            self.recovered.report.logs += 1;
        }
        for (segment, scan) in chain.into_segments() {
            self.recovered.report.segments += 1;
            self.recovered.report.batches += scan.batches.len() as u64;
            let entries = self.recovered.index(segment, &scan.batches, Some(base.sequence));
            self.recovered.records.extend(entries);
        }
        Ok(())
    }

    /// Takes every whole batch of a damaged log, to be written anew, and sets its files aside.
    fn salvage(&mut self, chain: Chain, above: u64) {
        let names = chain.names();
        let mut records = Vec::new();
        for (segment, scan) in chain.into_segments() {
            let beyond = scan.damage.as_ref().map_or(&[][..], |damage| &damage.beyond);
            let places: Vec<usize> = scan.batches.iter().chain(beyond).copied().collect();
            let entries = self.recovered.index(segment, &places, Some(above));
            records.extend(entries.iter().map(|entry| self.recovered.record(entry).to_record()));
            self.recovered.records.extend(entries);
        }
        self.recovered.report.damaged_files += names.len() as u64;
        let log = self.kept.iter().filter(|id| id.generation == self.generation).count();
        let id = LogId { generation: self.generation, log: log as u32 };
        self.kept.push(id);
        self.mends.push(Mend::Rewrite { id, records });
        self.mends.extend(names.into_iter().map(Mend::SetAside));
    }
}

/// The header of a file whose name says what it must be.
fn header_of(name: Name, bytes: &[u8]) -> Result<Option<Header>, JournalError> {
    let header = match Header::decode(bytes) {
        Ok(header) => header,
        Err(NoHeader::Damaged) => return Ok(None),
        Err(NoHeader::Version(version)) => {
            return Err(JournalError::Format(format!(
                "{name} has format {version} of the journal, which this build does not read; it reads format {}",
                super::header::VERSION
            )));
        }
    };
    let is = match name {
        Name::Segment(id, number) => {
            header.kind == Kind::Segment && header.id == id && header.segment == number
        }
        Name::Snapshot(sequence) => header.kind == Kind::Snapshot && header.sequence == sequence,
    };
    Ok(is.then_some(header))
}
