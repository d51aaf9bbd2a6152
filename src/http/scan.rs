//! Finds the end of a request head, and refuses line ends that two parsers could read differently.
//!
//! httparse accepts a bare LF as a line end and skips any number of empty lines. A proxy in front of this server may not,
//! and the difference smuggles requests, so each line end is looked at before httparse sees the head.

/// Bytes looked at in one step: a bit of a `u64` for each.
const BLOCK_BYTES: usize = 64;

/// Where the search for the end of one head stands. Every byte is looked at once, however it arrives.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Scan {
    /// Bytes already looked at.
    at: usize,
    /// The last of them was a CR.
    after_cr: bool,
    /// Which of the last two were LFs: bit 1 for the last, bit 0 for the one before.
    last_lfs: u64,
    /// One of them was an LF.
    past_request_line: bool,
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The head ends before this offset.
    End(usize),
    /// The end has not arrived yet.
    More,
    /// A line feed without its carriage return.
    BareLf,
    /// A carriage return without its line feed.
    BareCr,
    /// An empty line where the request line should be.
    EmptyLine,
    /// The first byte cannot start a method.
    BadStart,
}

impl Scan {
    /// Goes on with the search. `window` starts at the first byte of the head and only ever grows.
    pub(super) fn advance(&mut self, window: &[u8]) -> Found {
        if self.at <= 1
            && let Some(found) = check_start(window)
        {
            return found;
        }
        let (blocks, rest) = window[self.at..].as_chunks::<BLOCK_BYTES>();
        for block in blocks {
            if let Some(found) = self.step(block, BLOCK_BYTES) {
                return found;
            }
        }
        let mut last = [0; BLOCK_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        self.step(&last, rest.len()).unwrap_or(Found::More)
    }

    /// Looks at the first `length` bytes of a block; those after them are zero.
    ///
    /// Each LF must stand right after a CR and the other way round, and the head ends at an LF two bytes after an LF.
    fn step(&mut self, block: &[u8; BLOCK_BYTES], length: usize) -> Option<Found> {
        let (cr, lf) = line_end_bits(block);
        let present = if length == BLOCK_BYTES { u64::MAX } else { (1 << length) - 1 };
        let faults = (lf ^ (cr << 1 | u64::from(self.after_cr))) & present;
        let ends = lf & (lf << 2 | self.last_lfs);
        if (faults | ends) != 0 {
            let (fault, end) = (faults.trailing_zeros(), ends.trailing_zeros());
            return Some(match end < fault {
                true => Found::End(self.at + end as usize + 1),
                false if lf >> fault & 1 == 1 => Found::BareLf,
                false => Found::BareCr,
            });
        }
        if length > 0 {
            self.at += length;
            self.after_cr = cr >> (length - 1) & 1 == 1;
            self.last_lfs =
                (u128::from(lf) << 2 | u128::from(self.last_lfs)).wrapping_shr(length as u32) as u64 & 0b11;
            self.past_request_line |= lf != 0;
        }
        None
    }

    /// Bytes that will not be looked at again.
    pub(super) fn seen(&self) -> usize {
        self.at
    }

    /// True once the request line is complete.
    pub(super) fn past_request_line(&self) -> bool {
        self.past_request_line
    }
}

/// Which bytes of a block are CR, and which are LF.
#[cfg(target_arch = "x86_64")]
fn line_end_bits(block: &[u8; BLOCK_BYTES]) -> (u64, u64) {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};

    #[target_feature(enable = "sse2")]
    fn bits(bytes: &[u8; 16]) -> (u64, u64) {
        // SAFETY: 16 bytes are there to be read, and this load needs no alignment.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        let equal = |wanted: u8| _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted as i8)));
        (u64::from(equal(b'\r') as u16), u64::from(equal(b'\n') as u16))
    }

    let (mut cr, mut lf) = (0, 0);
    for (index, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: SSE2 is part of every x86-64 processor.
        let (some_cr, some_lf) = unsafe { bits(bytes) };
        cr |= some_cr << (16 * index);
        lf |= some_lf << (16 * index);
    }
    (cr, lf)
}

/// Which bytes of a block are CR, and which are LF.
#[cfg(not(target_arch = "x86_64"))]
fn line_end_bits(block: &[u8; BLOCK_BYTES]) -> (u64, u64) {
    let bits = |wanted: u8| block.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(*byte == wanted));
    (bits(b'\r'), bits(b'\n'))
}

/// Judges the first byte at once, so that a TLS greeting on a plain port is answered and not waited for.
fn check_start(window: &[u8]) -> Option<Found> {
    match (window.first()?, window.get(1)) {
        (b'\r', None) => Some(Found::More),
        (b'\r', Some(b'\n')) => Some(Found::EmptyLine),
        (b'\r', Some(_)) => Some(Found::BareCr),
        (b'\n', _) => Some(Found::BareLf),
        (first, _) if is_token_byte(*first) => None,
        _ => Some(Found::BadStart),
    }
}

/// True for the bytes of a token (RFC 9110, 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Found {
        Scan::default().advance(bytes)
    }

    #[test]
    fn line_ends_are_judged_where_they_stand() {
        assert_eq!(whole(b"GET / HTTP/1.1\r\n\r\nrest\n"), Found::End(18));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Found::End(27));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: a\r\n"), Found::More);
        assert_eq!(whole(b"GET / HTTP/1.1\n"), Found::BareLf);
        assert_eq!(whole(b"GET / HTTP/1.1\r\nA: b\n\r\n"), Found::BareLf);
        assert_eq!(whole(b"GET / HTTP/1.1\r\r\n"), Found::BareCr);
        assert_eq!(whole(b"\r\nGET"), Found::EmptyLine);
        assert_eq!(whole(b"\nGET"), Found::BareLf);
        assert_eq!(whole(b"\rGET"), Found::BareCr);
        assert_eq!(whole(b"\x16\x03\x01"), Found::BadStart);
        assert_eq!(whole(b""), Found::More);
    }

    #[test]
    fn a_head_cut_anywhere_ends_where_it_ends_at_once() {
        for padding in 0..130 {
            let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(padding));
            let found = |bytes: &[u8], cut: usize| {
                let mut scan = Scan::default();
                match scan.advance(&bytes[..cut]) {
                    Found::More => scan.advance(bytes),
                    found => found,
                }
            };
            for cut in 0..=head.len() {
                assert_eq!(found(head.as_bytes(), cut), Found::End(head.len()), "{padding}, {cut}");
            }
            for (from, to, fault) in [("\r\nH", "\nH", Found::BareLf), ("\r\nH", "\rH", Found::BareCr)] {
                let bad = head.replace(from, to);
                assert!((0..=bad.len()).all(|cut| found(bad.as_bytes(), cut) == fault), "{padding}");
            }
        }
    }

    #[test]
    fn no_byte_is_looked_at_twice() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        let mut scan = Scan::default();
        for end in 0..head.len() {
            assert_eq!(scan.advance(&head[..end]), Found::More);
            assert_eq!(scan.seen(), end);
            assert_eq!(scan.past_request_line(), end >= 16);
        }
        assert_eq!(scan.advance(head), Found::End(head.len()));
    }
}
