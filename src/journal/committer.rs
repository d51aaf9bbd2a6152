//! Group commit as a pure state machine: everything that waits becomes one batch, and is acknowledged as one.

use std::collections::{BTreeSet, VecDeque};

use super::Record;
use super::batch::{self, BatchHead, batch_bytes, record_bytes};
use super::error::AppendError;
use super::header::SECTOR;
use super::names::LogId;
use super::settings::{Rule, Settings};

/// A record's place in the order of one log's appends.
pub(super) type Ticket = u64;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing waits.
    Idle,
    /// What waits needs a new segment: [`Committer::enter`] or [`Committer::refuse_all`] comes next.
    Roll,
    /// These bytes go to this offset of the segment; [`Committer::written`] comes next.
    Write(u64, Vec<u8>),
}

/// Where in the log the current segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    base: u64,
    position: u64,
    salt: u64,
}

#[derive(Debug)]
struct Waiting {
    record: Record,
    refusable: bool,
    ticket: Ticket,
    is_forgotten: bool,
}

#[derive(Debug)]
pub(super) struct Committer {
    id: LogId,
    rule: Rule,
    segment_bytes: u64,
    reserve_bytes: u64,
    max_record_bytes: usize,
    max_batch_bytes: usize,
    max_waiting_bytes: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    next_ticket: Ticket,
    /// Tickets below it are decided.
    settled: Ticket,
    refused: BTreeSet<Ticket>,
    place: Option<Place>,
    next_batch: u64,
    /// What is written but not yet durable: the tickets below this one.
    written: Ticket,
    durable: u64,
    full: bool,
    in_flight: u64,
    /// The newest batch was empty: nothing in it can be lost.
    quiet: bool,
    buffer: Vec<u8>,
}

impl Committer {
    #[cfg(test)]
    pub(super) fn new(id: LogId, settings: &Settings) -> Self {
        Self::with_rule(id, settings, settings.mode.rule())
    }

    pub(super) fn with_rule(id: LogId, settings: &Settings, rule: Rule) -> Self {
        Self {
            id,
            rule,
            segment_bytes: settings.segment_bytes,
            reserve_bytes: settings.reserve_bytes,
            max_record_bytes: settings.max_record_bytes,
            max_batch_bytes: settings.max_batch_bytes,
            max_waiting_bytes: settings.max_waiting_bytes,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_ticket: 0,
            settled: 0,
            refused: BTreeSet::new(),
            place: None,
            next_batch: 1,
            written: 0,
            durable: 0,
            full: false,
            in_flight: 0,
            quiet: true,
            buffer: Vec::new(),
        }
    }

    /// Takes a record into the next batch.
    pub(super) fn push(&mut self, record: Record, refusable: bool) -> Result<Ticket, AppendError> {
        let bytes = record_bytes(record.bytes.len());
        if record.bytes.len() > self.max_record_bytes {
            return Err(AppendError::TooLarge(self.max_record_bytes));
        }
        if refusable && self.full {
            return Err(AppendError::DiskFull);
        }
        if self.waiting_bytes + bytes > self.max_waiting_bytes && !self.waiting.is_empty() {
            return Err(AppendError::Busy);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting { record, refusable, ticket, is_forgotten: false });
        Ok(ticket)
    }

    /// What became of a record; `None` while that is open.
    pub(super) fn verdict(&mut self, ticket: Ticket) -> Option<Result<(), AppendError>> {
        if self.refused.remove(&ticket) {
            return Some(Err(AppendError::DiskFull));
        }
        (ticket < self.settled).then_some(Ok(()))
    }

    /// Nobody waits for the verdict any more.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.refused.remove(&ticket);
        if let Ok(index) = self.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket) {
            self.waiting[index].is_forgotten = true;
        }
    }

    /// Tickets below it are decided.
    pub(super) fn settled(&self) -> Ticket {
        self.settled
    }

    /// Tickets that were refused, and whose verdict nobody has asked for.
    pub(super) fn refused(&self) -> impl Iterator<Item = Ticket> {
        self.refused.iter().copied()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What to do for the records that wait.
    pub(super) fn next_step(&mut self) -> Step {
        let Some(first) = self.waiting.front() else { return Step::Idle };
        // One sector stays free, so that the empty batch of an idle log always has its place.
        let first = batch_bytes(record_bytes(first.record.bytes.len()));
        match self.place {
            Some(place) if first as u64 + SECTOR as u64 <= self.segment_bytes - place.position => {
                let room = (self.segment_bytes - place.position) as usize - SECTOR;
                self.write(place, self.fitting(room.min(self.max_batch_bytes.max(first))))
            }
            _ => Step::Roll,
        }
    }

    /// How many of the waiting records fit into a batch of `room` bytes.
    fn fitting(&self, room: usize) -> usize {
        let mut bytes = 0;
        let sizes = self.waiting.iter().map(|waiting| record_bytes(waiting.record.bytes.len()));
        sizes
            .take_while(|size| {
                bytes += size;
                batch_bytes(bytes) <= room
            })
            .count()
    }

    /// An empty batch, which says that everything before it is durable; none where that has been said, or has no place.
    pub(super) fn empty_batch(&mut self) -> Step {
        match self.place {
            Some(place) if !self.quiet && self.segment_bytes - place.position >= SECTOR as u64 => {
                self.write(place, 0)
            }
            _ => Step::Idle,
        }
    }

    fn write(&mut self, place: Place, count: usize) -> Step {
        let head = BatchHead { id: self.id, number: self.next_batch, durable: self.durable, last: false };
        let mut bytes = std::mem::take(&mut self.buffer);
        batch::encode(
            &mut bytes,
            &head,
            place.salt,
            self.waiting.iter().take(count).map(|waiting| &waiting.record),
        );
        for waiting in self.waiting.drain(..count) {
            self.waiting_bytes -= record_bytes(waiting.record.bytes.len());
            self.written = waiting.ticket + 1;
        }
        self.next_batch += 1;
        self.quiet = count == 0;
        self.in_flight = count as u64;
        self.place = Some(Place { position: place.position + bytes.len() as u64, ..place });
        Step::Write(place.position, bytes)
    }

    /// The newest sequence that waits. It decides when the segment of the next batch may go.
    pub(super) fn newest_waiting(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.record.sequence).max()
    }

    /// The batch is in the file; `bytes` is its buffer, for the next one.
    pub(super) fn written(&mut self, bytes: Vec<u8>) {
        self.buffer = bytes;
        // One enormous batch should not hold its memory for good.
        self.buffer.shrink_to(256 << 10);
        if !self.rule.acknowledge_after_sync {
            self.settled = self.written;
        }
    }

    /// Everything written is durable.
    pub(super) fn synced(&mut self) {
        self.settled = self.written;
        self.durable = self.end();
    }

    /// How many records the newest batch has.
    pub(super) fn records_in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Whether something is written and not known durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.durable < self.end()
    }

    /// Whether the newest batch has no records.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The offset in the log of the next batch.
    pub(super) fn end(&self) -> u64 {
        self.place.map_or(0, |place| place.base + place.position)
    }

    /// The number of the next batch.
    pub(super) fn next_batch(&self) -> u64 {
        self.next_batch
    }

    /// Goes on in a new segment, which begins at [`Committer::end`]. The old one is durable.
    pub(super) fn enter(&mut self, salt: u64) {
        let base = self.end();
        self.place = Some(Place { base, position: SECTOR as u64, salt });
        self.durable = self.end();
    }

    /// Whether so much of the segment is used that the next one should be reserved.
    pub(super) fn wants_spare(&self) -> bool {
        self.place.is_none_or(|place| place.position + self.reserve_bytes > self.segment_bytes)
    }

    /// Whether a new segment could not be reserved.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// A new segment was reserved.
    pub(super) fn has_room(&mut self) {
        self.full = false;
    }

    /// A new segment could not be reserved: what can be refused is, and the rest has the reserve. Gives their number.
    pub(super) fn disk_full(&mut self) -> u64 {
        self.full = true;
        self.refuse(|waiting| waiting.refusable)
    }

    /// Not even the reserve is left. Gives the number of those refused.
    pub(super) fn refuse_all(&mut self) -> u64 {
        self.full = true;
        self.refuse(|_| true)
    }

    fn refuse(&mut self, which: impl Fn(&Waiting) -> bool) -> u64 {
        let (mut count, mut bytes) = (0, 0);
        let refused = &mut self.refused;
        self.waiting.retain(|waiting| {
            let refuse = which(waiting);
            if refuse {
                count += 1;
                bytes += record_bytes(waiting.record.bytes.len());
                if !waiting.is_forgotten {
                    refused.insert(waiting.ticket);
                }
            }
            !refuse
        });
        self.waiting_bytes -= bytes;
        count
    }
}

#[cfg(test)]
mod tests;
