//! The frames of `/mcp+p2p/1.0.0`: a length and that many bytes, bytes in and frames out.
//!
//! The length is an unsigned 32-bit number, big-endian, and does not count itself. What it announces is believed only as
//! far as bytes come: a frame beyond the limit is refused at its length, and memory grows with what was received.

use std::fmt;

/// Bytes of the length before each frame.
pub const LENGTH_BYTES: usize = 4;

/// A reader without a frame keeps no more memory than this.
const KEPT_BYTES: usize = 4 << 10;

/// Why nothing more can be read from a stream: where the next frame begins is no longer known, or does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A frame of no bytes, which holds no JSON.
    Empty,
    /// A frame that is longer than allowed.
    TooLarge {
        /// The length that was announced, in bytes.
        bytes: u32,
        /// The longest one allowed.
        max: u32,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Empty => f.write_str("a frame has no bytes; each holds one JSON text"),
            FrameError::TooLarge { bytes, max } => {
                write!(f, "a frame of {bytes} bytes was announced; max_p2p_frame_bytes is {max}")
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// Cuts the bytes of one direction of a stream into frames.
#[derive(Debug)]
pub struct FrameReader {
    max: u32,
    /// The frame that is not complete yet, its length included; or the one that was handed out last.
    held: Vec<u8>,
    is_handed_out: bool,
    failed: Option<FrameError>,
}

impl FrameReader {
    /// A reader of frames of at most `max_bytes`.
    pub fn new(max_bytes: u64) -> FrameReader {
        let max = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        FrameReader { max, held: Vec::new(), is_handed_out: false, failed: None }
    }

    /// The next frame, without its length. It lies in `input` where all of it does, so that the usual frame is not
    /// copied. Takes from `input` what belongs to it; with `None` that was all there is.
    ///
    /// # Errors
    /// See [`FrameError`]; from then on the answer stays the same.
    pub fn next<'f, 'i: 'f>(&'f mut self, input: &mut &'i [u8]) -> Result<Option<&'f [u8]>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if std::mem::take(&mut self.is_handed_out) {
            self.held.clear();
            if self.held.capacity() > KEPT_BYTES {
                self.held = Vec::new();
            }
        }
        if self.held.is_empty()
            && let Some((length, rest)) = input.split_first_chunk::<LENGTH_BYTES>()
        {
            let length = self.check(*length)?;
            if let Some((frame, rest)) = rest.split_at_checked(length) {
                *input = rest;
                return Ok(Some(frame));
            }
        }
        self.gather(input)
    }

    /// Whether a frame has begun and is not complete.
    pub fn is_midway(&self) -> bool {
        !self.is_handed_out && !self.held.is_empty()
    }

    /// The memory that the reader holds, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Puts bytes together until they are a frame.
    fn gather(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, FrameError> {
        self.take(LENGTH_BYTES, input);
        let Some(length) = self.held.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let end = LENGTH_BYTES + self.check(*length)?;
        self.take(end, input);
        if self.held.len() < end {
            return Ok(None);
        }
        self.is_handed_out = true;
        Ok(Some(&self.held[LENGTH_BYTES..]))
    }

    /// Moves bytes over until `end` are held.
    fn take(&mut self, end: usize, input: &mut &[u8]) {
        let missing = end.saturating_sub(self.held.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        if self.held.len() + taken.len() > self.held.capacity() {
            // At most twice what has come, and never more than the frame needs.
            self.held.reserve_exact(missing.min(self.held.len().max(taken.len())));
        }
        self.held.extend_from_slice(taken);
        *input = rest;
    }

    fn check(&mut self, length: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
        let bytes = u32::from_be_bytes(length);
        let max = self.max;
        let error = match bytes {
            0 => FrameError::Empty,
            _ if bytes > max => FrameError::TooLarge { bytes, max },
            _ => return Ok(bytes as usize),
        };
        self.failed = Some(error);
        self.held = Vec::new();
        Err(error)
    }
}

/// A frame that is being written at the end of a buffer.
#[derive(Debug)]
#[must_use = "a frame without its length cannot be read"]
pub struct OpenFrame {
    start: usize,
}

impl OpenFrame {
    /// Makes room for the length; what is appended to `out` from now on is the frame.
    pub fn begin(out: &mut Vec<u8>) -> OpenFrame {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        OpenFrame { start }
    }

    /// Where the frame's bytes begin.
    pub fn body_start(&self) -> usize {
        self.start + LENGTH_BYTES
    }

    /// How many bytes the frame has by now.
    pub fn len(&self, out: &[u8]) -> usize {
        out.len() - self.body_start()
    }

    /// Whether nothing was appended so far.
    pub fn is_empty(&self, out: &[u8]) -> bool {
        self.len(out) == 0
    }

    /// Writes the length. Nothing but the frame may have been appended, of fewer than 4 GiB.
    pub fn finish(self, out: &mut [u8]) {
        let length = u32::try_from(self.len(out)).expect("invariant: the writer keeps frames below 1 GiB");
        out[self.start..self.body_start()].copy_from_slice(&length.to_be_bytes());
    }

    /// Takes the frame back, as far as it was written.
    pub fn discard(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }
}

/// Appends a whole frame.
pub fn write_frame(out: &mut Vec<u8>, bytes: &[u8]) {
    let frame = OpenFrame::begin(out);
    out.extend_from_slice(bytes);
    frame.finish(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(frames: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        frames.iter().for_each(|frame| write_frame(&mut out, frame));
        out
    }

    /// What a reader makes of pieces.
    fn read(reader: &mut FrameReader, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let mut frames = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match reader.next(&mut input) {
                    Ok(Some(frame)) => frames.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
            assert!(input.is_empty(), "a reader without a frame has taken everything");
        }
        (frames, None)
    }

    #[test]
    fn frames_are_the_same_at_every_cut() {
        let expected: [&[u8]; 4] = [b"{}", b"x", &[7; 300], b"[1]"];
        let bytes = wire(&expected);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut reader = FrameReader::new(300);
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(read(&mut reader, &pieces), (expected.map(<[u8]>::to_vec).to_vec(), None));
                assert!(!reader.is_midway());
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&mut FrameReader::new(300), &single).0.len(), 4);
    }

    #[test]
    fn the_length_is_big_endian_and_does_not_count_itself() {
        assert_eq!(wire(&[b"{}", &[0; 258]])[..12], *b"\0\0\0\x02{}\0\0\x01\x02\0\0");
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_at_its_length_at_every_cut() {
        let mut bytes = wire(&[b"12345678"]);
        bytes.extend_from_slice(&9_u32.to_be_bytes());
        for cut in 0..bytes.len() {
            let mut reader = FrameReader::new(8);
            let (frames, error) = read(&mut reader, &[&bytes[..cut], &bytes[cut..]]);
            assert_eq!((frames.len(), error), (1, Some(FrameError::TooLarge { bytes: 9, max: 8 })));
            let mut more: &[u8] = b"\0\0\0\x01x";
            assert_eq!(reader.next(&mut more), Err(error.unwrap()), "it stays refused");
            assert_eq!(reader.held_bytes(), 0);
        }
    }

    #[test]
    fn a_frame_of_no_bytes_is_an_error() {
        assert_eq!(read(&mut FrameReader::new(8), &[&[0; 4]]).1, Some(FrameError::Empty));
    }

    #[test]
    fn memory_grows_with_what_came_and_not_with_what_was_announced() {
        let mut reader = FrameReader::new(1 << 30);
        let announced = (1_u32 << 30).to_be_bytes();
        assert_eq!(read(&mut reader, &[&announced, &[0; 1000]]), (Vec::new(), None));
        assert!(reader.held_bytes() <= 2 * 1004, "{}", reader.held_bytes());
        assert!(reader.is_midway());
    }

    #[test]
    fn a_large_frame_takes_no_more_than_it_needs_and_its_memory_is_given_back() {
        let bytes = wire(&[&[1; 100_000], b"x"]);
        let mut reader = FrameReader::new(1 << 20);
        let mut most = 0;
        for piece in bytes.chunks(777) {
            let mut input = piece;
            while reader.next(&mut input).unwrap().is_some() {}
            most = most.max(reader.held_bytes());
        }
        assert!(most <= 100_004, "{most}");
        assert!(reader.held_bytes() <= KEPT_BYTES);
    }

    #[test]
    fn a_frame_can_be_taken_back() {
        let mut out = wire(&[b"a"]);
        let before = out.clone();
        let frame = OpenFrame::begin(&mut out);
        assert!(frame.is_empty(&out));
        out.extend_from_slice(b"half");
        assert_eq!(frame.len(&out), 4);
        frame.discard(&mut out);
        assert_eq!(out, before);
    }
}
