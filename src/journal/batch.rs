//! A batch: records that were written and made durable together, under one checksum. `docs/journal.md` has it byte by byte.

use super::Record;
use super::header::{SECTOR, is_blank, u32_at, u64_at};
use super::names::LogId;

const MAGIC: &[u8; 4] = b"rmB1";
const HEADER: usize = 48;
const RECORD_HEADER: usize = 16;
/// The checksum covers everything from here on.
const COVERED: usize = 8;

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHead {
    pub(super) id: LogId,
    /// Its number in its log, from 1 on, without gaps.
    pub(super) number: u64,
    /// Everything before this offset of the log was durable before the batch was written.
    pub(super) durable: u64,
    /// Nothing follows it in its file. Snapshots end so.
    pub(super) last: bool,
}

/// A batch found in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) head: BatchHead,
    /// The bytes it takes in the file, a multiple of the sector.
    pub(super) bytes: usize,
    records: &'a [u8],
    count: u32,
}

/// A record as it lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its place among all changes.
    pub sequence: u64,
    /// What it is; the journal does not care.
    pub kind: u8,
    /// What it says.
    pub bytes: &'a [u8],
}

/// The bytes that a record takes in a batch.
pub(super) fn record_bytes(payload: usize) -> usize {
    RECORD_HEADER + payload
}

/// The bytes that a batch of records of `records` bytes takes in a file.
pub(super) fn batch_bytes(records: usize) -> usize {
    (HEADER + records).next_multiple_of(SECTOR)
}

/// Writes a batch into `into`, which is emptied first.
pub(super) fn encode<'a>(
    into: &mut Vec<u8>,
    head: &BatchHead,
    salt: u64,
    records: impl Iterator<Item = &'a Record>,
) {
    into.clear();
    into.resize(HEADER, 0);
    let mut count = 0_u32;
    for record in records {
        let length = u32::try_from(record.bytes.len()).expect("invariant: the committer bounds a record");
        into.extend_from_slice(&length.to_le_bytes());
        into.extend_from_slice(&[record.kind, 0, 0, 0]);
        into.extend_from_slice(&record.sequence.to_le_bytes());
        into.extend_from_slice(&record.bytes);
        count += 1;
    }
    into.resize(into.len().next_multiple_of(SECTOR), 0);
    let length = u32::try_from(into.len()).expect("invariant: the committer bounds a batch");
    into[..4].copy_from_slice(MAGIC);
    into[8..12].copy_from_slice(&length.to_le_bytes());
    into[12..16].copy_from_slice(&count.to_le_bytes());
    into[16..24].copy_from_slice(&head.number.to_le_bytes());
    into[24..32].copy_from_slice(&head.durable.to_le_bytes());
    into[32..36].copy_from_slice(&head.id.generation.to_le_bytes());
    into[36..40].copy_from_slice(&head.id.log.to_le_bytes());
    into[40] = u8::from(head.last);
    let checksum = checksum(salt, &into[COVERED..]);
    into[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// The batch that begins `file`, if a whole one of this log does.
pub(super) fn decode(file: &[u8], id: LogId, salt: u64) -> Option<Batch<'_>> {
    let header = file.get(..HEADER)?;
    if &header[..4] != MAGIC {
        return None;
    }
    let bytes = u32_at(header, 8) as usize;
    let whole =
        file.get(..bytes).filter(|whole| whole.len() >= SECTOR && whole.len().is_multiple_of(SECTOR))?;
    if checksum(salt, &whole[COVERED..]) != u32_at(header, 4) {
        return None;
    }
    let found = LogId { generation: u32_at(header, 32), log: u32_at(header, 36) };
    let head =
        BatchHead { id, number: u64_at(header, 16), durable: u64_at(header, 24), last: header[40] == 1 };
    let batch = Batch { head, bytes, records: &whole[HEADER..], count: u32_at(header, 12) };
    (found == id && batch.is_well_formed()).then_some(batch)
}

fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

impl<'a> Batch<'a> {
    /// Its records, in the order in which they were written.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordRef<'a>> + use<'a> {
        let mut rest = self.records;
        (0..self.count).map_while(move |_| {
            let (record, after) = split_record(rest)?;
            rest = after;
            Some(record)
        })
    }

    /// Whether the count is true and nothing lies behind the records.
    fn is_well_formed(&self) -> bool {
        let mut rest = self.records;
        for _ in 0..self.count {
            match split_record(rest) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.len() < SECTOR && is_blank(rest)
    }
}

fn split_record(bytes: &[u8]) -> Option<(RecordRef<'_>, &[u8])> {
    let (header, rest) = bytes.split_at_checked(RECORD_HEADER)?;
    let (payload, rest) = rest.split_at_checked(u32_at(header, 0) as usize)?;
    Some((RecordRef { sequence: u64_at(header, 8), kind: header[4], bytes: payload }, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;

    const ID: LogId = LogId { generation: 2, log: 5 };
    const HEAD: BatchHead = BatchHead { id: ID, number: 8, durable: 4_096, last: false };

    fn records() -> Vec<Record> {
        let of = |sequence, kind, len: usize| Record { sequence, kind, bytes: vec![sequence as u8; len] };
        vec![of(1, 0, 0), of(2, 255, 449), of(9, 3, 1)]
    }

    fn encoded(records: &[Record]) -> Vec<u8> {
        let mut bytes = vec![7; 3];
        encode(&mut bytes, &HEAD, 11, records.iter());
        bytes
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        for records in [records(), Vec::new(), records()[1..2].to_vec()] {
            let bytes = encoded(&records);
            let payload = records.iter().map(|record| record_bytes(record.bytes.len())).sum();
            assert_eq!(bytes.len(), batch_bytes(payload));
            let batch = decode(&bytes, ID, 11).unwrap();
            assert_eq!((batch.head, batch.bytes), (HEAD, bytes.len()));
            let found: Vec<_> = batch.records().map(|found| found.to_record()).collect();
            assert_eq!(found, records);
        }
        assert_eq!(batch_bytes(0), SECTOR);
    }

    #[test]
    fn a_flipped_bit_a_cut_and_another_file_are_seen() {
        let bytes = encoded(&records());
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, ID, 11).is_none(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], ID, 11).is_none());
        }
        assert!(decode(&bytes, ID, 12).is_none());
        assert!(decode(&bytes, LogId { log: 6, ..ID }, 11).is_none());
    }
}
