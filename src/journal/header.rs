//! The first sector of every segment and every snapshot. `docs/journal.md` has it byte by byte.

use super::names::LogId;

/// Bytes of a sector: what one write never tears another's bytes in. Every batch begins on a sector of its own.
pub(super) const SECTOR: usize = 512;
/// The format that is written.
pub(super) const VERSION: u16 = 1;
const MAGIC: &[u8; 8] = b"ringmesh";
const CRC_AT: usize = SECTOR - 4;

/// Whether this build reads a format: its own, and the one before it.
pub(super) fn is_readable(version: u16) -> bool {
    version != 0 && (version == VERSION || version == VERSION - 1)
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Segment = 1,
    Snapshot = 2,
}

/// What the first sector says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u16,
    pub(super) kind: Kind,
    pub(super) id: LogId,
    /// The segment's number in its log, from 1 on.
    pub(super) segment: u32,
    /// The offset in the log at which the segment begins.
    pub(super) base: u64,
    /// The number of its first batch.
    pub(super) first_batch: u64,
    /// Goes into the checksum of each batch, so that bytes of another file are never taken for this one's.
    pub(super) salt: u64,
    /// Of a snapshot: every record up to it is covered.
    pub(super) sequence: u64,
    /// Of a segment: the bytes that the file was made with; 0 where that is not known. They are durable when the header is.
    pub(super) reserved: u64,
}

/// Why a sector is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// It is not whole.
    Damaged,
    /// It is whole, of a format that this build does not read.
    Version(u16),
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SECTOR);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&[self.kind as u8, 0]);
        for field in [self.id.generation, self.id.log, self.segment] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.base, self.first_batch, self.salt, self.sequence, self.reserved] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.resize(CRC_AT, 0);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn decode(file: &[u8]) -> Result<Self, NoHeader> {
        let bytes = file.get(..SECTOR).ok_or(NoHeader::Damaged)?;
        if &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..CRC_AT]) != u32_at(bytes, CRC_AT) {
            return Err(NoHeader::Damaged);
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if !is_readable(version) {
            return Err(NoHeader::Version(version));
        }
        let kind = match bytes[10] {
            1 => Kind::Segment,
            2 => Kind::Snapshot,
            _ => return Err(NoHeader::Damaged),
        };
        Ok(Self {
            version,
            kind,
            id: LogId { generation: u32_at(bytes, 12), log: u32_at(bytes, 16) },
            segment: u32_at(bytes, 20),
            base: u64_at(bytes, 24),
            first_batch: u64_at(bytes, 32),
            salt: u64_at(bytes, 40),
            sequence: u64_at(bytes, 48),
            reserved: u64_at(bytes, 56),
        })
    }
}

/// The number at a place that the caller knows to be there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// As [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Whether there are only zeros.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    // Compared by the sector: a byte at a time takes seconds for large files in builds without optimisation.
    const ZEROS: [u8; SECTOR] = [0; SECTOR];
    bytes.chunks(SECTOR).all(|part| part == &ZEROS[..part.len()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;

    const HEADER: Header = Header {
        version: VERSION,
        kind: Kind::Segment,
        id: LogId { generation: 3, log: 1 },
        segment: 9,
        base: 1 << 40,
        first_batch: 77,
        salt: 0x0123_4567_89ab_cdef,
        sequence: 5,
        reserved: 1 << 25,
    };

    #[test]
    fn a_header_is_read_as_it_was_written_and_any_flipped_bit_is_seen() {
        let bytes = HEADER.encode();
        assert_eq!(bytes.len(), SECTOR);
        assert_eq!(Header::decode(&bytes), Ok(HEADER));
        for bit in 0..SECTOR * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), Err(NoHeader::Damaged));
        }
        assert_eq!(Header::decode(&bytes[..SECTOR - 1]), Err(NoHeader::Damaged));
    }

    #[test]
    fn a_format_is_read_by_its_own_build_and_the_next() {
        let newer = Header { version: VERSION + 1, ..HEADER };
        assert_eq!(Header::decode(&newer.encode()), Err(NoHeader::Version(VERSION + 1)));
        assert!(is_readable(VERSION) && !is_readable(VERSION + 1) && !is_readable(0));
    }

    #[test]
    fn zeros_are_told_from_anything_else() {
        let mut bytes = vec![0; 3 * SECTOR + 7];
        assert!(is_blank(&bytes) && is_blank(&[]));
        bytes[3 * SECTOR + 6] = 1;
        assert!(!is_blank(&bytes));
    }
}
