//! The segments of one log, held against each other.

use super::{Header, JournalError, LogId, Name, Scan, header_of, scan};
use crate::journal::header::{SECTOR, is_blank};
use crate::journal::mend::Cut;

/// A segment with its header.
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

/// One log, in the order of its segments.
pub(super) struct Chain {
    id: LogId,
    /// What lies before is covered by the snapshot. `None`: no snapshot knows the log.
    position: Option<u64>,
    /// A later start of the process has put the log in order.
    is_settled: bool,
    segments: Vec<(Segment, Scan)>,
    covered: Vec<String>,
    /// Segments that were reserved and never begun, or whose header is gone.
    headless: Vec<(u32, Vec<u8>)>,
}

impl Chain {
    pub(super) fn new(id: LogId, position: Option<u64>, is_settled: bool) -> Self {
        let (segments, covered, headless) = (Vec::new(), Vec::new(), Vec::new());
        Self { id, position, is_settled, segments, covered, headless }
    }

    /// Adds the segment with the next higher number.
    pub(super) fn add(&mut self, number: u32, bytes: Vec<u8>) -> Result<(), JournalError> {
        let name = Name::Segment(self.id, number);
        let position = self.position.unwrap_or(0);
        match header_of(name, &bytes)? {
            _ if position == u64::MAX => self.covered.push(name.to_string()),
            Some(header) if header.base < position => self.covered.push(name.to_string()),
            Some(header) => {
                let scan = scan::scan(&bytes, &header);
                self.segments.push((Segment { header, bytes }, scan));
            }
            None => self.headless.push((number, bytes)),
        }
        Ok(())
    }

    /// The files that are not needed: covered by the snapshot, or never begun.
    pub(super) fn covered(&self) -> impl Iterator<Item = String> {
        let unused = self.headless.iter().filter(|headless| self.is_unused(headless));
        let unused = unused.map(|(number, _)| Name::Segment(self.id, *number).to_string());
        self.covered.iter().cloned().chain(unused)
    }

    /// A header is durable before anything else is written: without one, there is nothing, or it was there and is damaged.
    fn is_unused(&self, (number, bytes): &(u32, Vec<u8>)) -> bool {
        let last = self.segments.last().map_or(0, |(segment, _)| segment.header.segment);
        *number > last && is_blank(bytes.get(SECTOR..).unwrap_or(&[]))
    }

    /// Holds the segments against each other, against the snapshot, and against what the batches call durable.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if let Some((number, _)) = self.headless.iter().find(|headless| !self.is_unused(headless)) {
            return Err(self.damaged(*number, 0, "the header of the segment is gone"));
        }
        self.check_begin()?;
        for pair in self.segments.windows(2) {
            let ((before, scan), (after, _)) = (&pair[0], &pair[1]);
            let number = before.header.segment;
            if let Some(damage) = &scan.damage {
                return Err(self.damaged(number, scan.end, &damage.why));
            }
            let follows = after.header.segment == number + 1
                && after.header.base == before.header.base + scan.end as u64
                && after.header.first_batch == scan.next_batch;
            if !follows {
                let why = format!("segment {} does not go on where this one ends", after.header.segment);
                return Err(self.damaged(number, scan.end, &why));
            }
        }
        self.check_end()
    }

    fn check_begin(&self) -> Result<(), JournalError> {
        let Some((first, _)) = self.segments.first() else {
            // A log that the snapshot points into has had a segment there.
            return match self.position {
                Some(position) if position != u64::MAX => Err(self.damaged(
                    1,
                    0,
                    &format!("no segment holds offset {position}, which the snapshot names"),
                )),
                _ => Ok(()),
            };
        };
        let expected = self.position.unwrap_or(0);
        if first.header.base != expected {
            let why = format!("the log begins at offset {}, but should at {expected}", first.header.base);
            return Err(self.damaged(first.header.segment, 0, &why));
        }
        Ok(())
    }

    /// Whether a crash can have left the end of the log like this.
    fn check_end(&self) -> Result<(), JournalError> {
        let Some((last, scan)) = self.segments.last() else { return Ok(()) };
        let Some(damage) = &scan.damage else { return Ok(()) };
        let at = last.header.base + scan.end as u64;
        let durable = self.segments.iter().map(|(_, scan)| scan.durable).max().unwrap_or(0);
        let why = if damage.is_gap {
            damage.why.clone()
        } else if durable > at {
            format!("{}, but the log was durable up to {} bytes further on", damage.why, durable - at)
        } else if self.is_settled {
            format!("{}, though the log was whole at a later start", damage.why)
        } else if (last.bytes.len() as u64) < last.header.reserved {
            // The length was durable before the first batch, and a start cuts between batches only.
            format!(
                "{}, and the file ends {} bytes early",
                damage.why,
                last.header.reserved - last.bytes.len() as u64
            )
        } else {
            return Ok(());
        };
        Err(self.damaged(last.header.segment, scan.end, &why))
    }

    fn damaged(&self, number: u32, offset: usize, why: &str) -> JournalError {
        JournalError::damaged(&Name::Segment(self.id, number).to_string(), offset, why)
    }

    /// What has to go from the end of the last segment: the bytes of a crash, and the place reserved for more.
    pub(super) fn cut(&self) -> Option<Cut> {
        let (last, scan) = self.segments.last()?;
        if last.bytes.len() == scan.end {
            return None;
        }
        let name = Name::Segment(self.id, last.header.segment).to_string();
        let behind = last.bytes.get(scan.end..).unwrap_or(&[]);
        let sectors = behind.chunks(SECTOR).rposition(|sector| !is_blank(sector)).map_or(0, |last| last + 1);
        let aside = behind[..behind.len().min(sectors * SECTOR)].to_vec();
        Some(Cut { name, keep: scan.end as u64, aside })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The names of all files of the log that are not covered.
    pub(super) fn names(&self) -> Vec<String> {
        let headless =
            self.headless.iter().filter(|headless| !self.is_unused(headless)).map(|(number, _)| *number);
        let numbers = self.segments.iter().map(|(segment, _)| segment.header.segment).chain(headless);
        numbers.map(|number| Name::Segment(self.id, number).to_string()).collect()
    }

    pub(super) fn into_segments(self) -> impl Iterator<Item = (Segment, Scan)> {
        self.segments.into_iter()
    }
}
