//! The snapshot that recovery begins with.

use std::collections::BTreeMap;

use super::chain::Segment;
use super::{JournalError, LogId, Mend, Name, Recovered, header_of, scan};
use crate::journal::header::{Header, u32_at, u64_at};
use crate::journal::scan::Scan;
use crate::journal::snapshot::{CONTROL_POSITION, CONTROL_TOTAL, Position};

/// Where recovery begins.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// Every record up to it is covered.
    pub(super) sequence: u64,
    /// The newest generation that it knows.
    pub(super) generation: u32,
    positions: BTreeMap<LogId, u64>,
    /// A repair has to write the snapshot anew: it is not whole, or what it says of a log is no longer so.
    is_stale: bool,
    is_there: bool,
}

impl Base {
    pub(super) fn position(&self, id: LogId) -> Option<u64> {
        self.positions.get(&id).copied()
    }

    /// The logs of which it covers a part only.
    pub(super) fn needed(&self) -> impl Iterator<Item = LogId> {
        self.positions.iter().filter(|(_, offset)| **offset != u64::MAX).map(|(id, _)| *id)
    }

    /// Nothing of this log is needed any more: a repair has written anew what was whole of it.
    pub(super) fn cover(&mut self, id: LogId) {
        self.is_stale |= self.positions.insert(id, u64::MAX) != Some(u64::MAX);
    }

    /// The whole chunks of the snapshot, to be written in its place, if a repair has to.
    pub(super) fn rewritten(self, recovered: &Recovered) -> Option<Mend> {
        if !(self.is_stale && self.is_there) {
            return None;
        }
        let Self { sequence, generation, positions, .. } = self;
        let positions = positions.into_iter().map(|(id, offset)| Position { id, offset }).collect();
        let records = recovered.snapshot.iter().map(|entry| recovered.record(entry).to_record()).collect();
        Some(Mend::RewriteSnapshot { sequence, generation, positions, records })
    }
}

/// Takes the newest snapshot into `recovered`; older ones are to be removed.
pub(super) fn choose(
    mut snapshots: BTreeMap<u64, Vec<u8>>,
    repair: bool,
    recovered: &mut Recovered,
    mends: &mut Vec<Mend>,
) -> Result<Base, JournalError> {
    let Some((sequence, bytes)) = snapshots.pop_last() else { return Ok(Base::default()) };
    let name = Name::Snapshot(sequence);
    let mut base = Base { sequence, ..Base::default() };
    let Some(header) = header_of(name, &bytes)? else {
        if !repair {
            return Err(JournalError::damaged(&name.to_string(), 0, "the header of the snapshot is gone"));
        }
        recovered.report.damaged_files += 1;
        mends.push(Mend::SetAside(name.to_string()));
        // Without this one, an older one is the best there is.
        return choose(snapshots, repair, recovered, mends);
    };
    base.is_there = true;
    base.generation = header.id.generation;
    let scan = scan::scan(&bytes, &header);
    let whole = is_whole(&bytes, &header, &scan);
    if !whole && !repair {
        let why = "the snapshot is not whole from here on";
        return Err(JournalError::damaged(&name.to_string(), scan.end.min(bytes.len()), why));
    }
    mends.extend(snapshots.keys().map(|older| Mend::Remove(Name::Snapshot(*older).to_string())));
    let beyond = scan.damage.as_ref().map_or(&[][..], |damage| &damage.beyond);
    let places: Vec<usize> = scan.batches.iter().chain(beyond).copied().collect();
    take(Segment { header, bytes }, &places, recovered, &mut base);
    if !whole {
        base.is_stale = true;
        recovered.report.damaged_files += 1;
    }
    Ok(base)
}

/// Whether the snapshot has an end, and nothing is missing before it.
fn is_whole(bytes: &[u8], header: &Header, scan: &Scan) -> bool {
    let count =
        |at: &usize| scan::batch_at(bytes, header, *at).map_or(0, |batch| batch.records().count() as u64);
    let total = scan.batches.last().and_then(|at| scan::batch_at(bytes, header, *at)?.records().last());
    let records: u64 = scan.batches.iter().skip(1).map(count).sum();
    scan.closed
        && scan.damage.is_none()
        && total.is_some_and(|total| {
            total.kind == CONTROL_TOTAL && total.bytes.len() == 8 && u64_at(total.bytes, 0) + 1 == records
        })
}

/// Reads what a snapshot holds: where the logs go on, then the state.
fn take(segment: Segment, places: &[usize], recovered: &mut Recovered, base: &mut Base) {
    let control: Vec<usize> = places
        .iter()
        .copied()
        .filter(|at| {
            scan::batch_at(&segment.bytes, &segment.header, *at)
                .is_some_and(|batch| batch.head.number == 1 || batch.head.last)
        })
        .collect();
    for batch in control.iter().filter_map(|at| scan::batch_at(&segment.bytes, &segment.header, *at)) {
        for record in batch.records() {
            if record.kind == CONTROL_POSITION && record.bytes.len() == 16 {
                let id = LogId { generation: u32_at(record.bytes, 0), log: u32_at(record.bytes, 4) };
                base.positions.insert(id, u64_at(record.bytes, 8));
                base.generation = base.generation.max(id.generation);
            }
            recovered.newest = recovered.newest.max(record.sequence);
        }
    }
    let chunks: Vec<usize> = places.iter().copied().filter(|at| !control.contains(at)).collect();
    recovered.newest = recovered.newest.max(base.sequence);
    recovered.snapshot = recovered.index(segment, &chunks, None);
    let newest = recovered.snapshot.iter().map(|entry| entry.sequence).max().unwrap_or(0);
    recovered.newest = recovered.newest.max(newest);
    recovered.report.snapshot_sequence = base.sequence;
    recovered.report.snapshot_records = recovered.snapshot.len() as u64;
}
