//! The lines of the task queue RPC: one in, one out.
//!
//! A request is everything up to the first newline. What comes in the same read behind the newline belongs to no
//! request, so it spoils the line; what comes later finds nobody who reads.

/// Why a line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// There was no newline within the limit.
    TooLong,
    /// More bytes came with the newline.
    MoreThanALine,
}

/// Collects the bytes of one line. It holds no more of them than the limit allows.
#[derive(Debug)]
pub struct LineReader {
    line: Vec<u8>,
    max_bytes: usize,
    is_over: bool,
}

impl LineReader {
    /// A reader of a line of at most `max_bytes`, its newline included.
    pub fn new(max_bytes: usize) -> LineReader {
        LineReader { line: Vec::new(), max_bytes: max_bytes.max(1), is_over: false }
    }

    /// Takes the bytes of one read. True when the line is complete; then, or after an error, further bytes are ignored.
    ///
    /// # Errors
    /// The line is too long, or something follows it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool, LineError> {
        if self.is_over {
            return Ok(true);
        }
        let room = self.max_bytes - self.line.len();
        let within = &bytes[..bytes.len().min(room)];
        let newline = memchr::memchr(b'\n', within);
        self.is_over = newline.is_some() || bytes.len() >= room;
        let refused = match newline {
            Some(at) if at + 1 < bytes.len() => LineError::MoreThanALine,
            // Not even its newline would fit any more.
            None if bytes.len() >= room => LineError::TooLong,
            end => {
                self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
                return Ok(end.is_some());
            }
        };
        self.line = Vec::new();
        Err(refused)
    }

    /// The line without its newline, as far as it came; nothing of one that was refused.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// As [`LineReader::line`], to keep.
    pub fn into_line(self) -> Vec<u8> {
        self.line
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        self.line.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_newline_however_it_comes() {
        let bytes = b"{\"op\":\"status\"}\r\n";
        for size in 1..=bytes.len() {
            let mut reader = LineReader::new(64);
            let ends: Vec<_> = bytes.chunks(size).map(|piece| reader.feed(piece)).collect();
            let (last, before) = ends.split_last().expect("there are bytes");
            assert_eq!(*last, Ok(true));
            assert!(before.iter().all(|end| *end == Ok(false)));
            assert_eq!(reader.line(), b"{\"op\":\"status\"}\r");
            assert_eq!(reader.feed(b"later"), Ok(true), "nobody reads that");
            assert_eq!(reader.line(), b"{\"op\":\"status\"}\r");
        }
    }

    #[test]
    fn what_comes_with_the_newline_spoils_the_line() {
        let mut reader = LineReader::new(64);
        assert_eq!(reader.feed(b"{\"op\":"), Ok(false));
        assert_eq!(reader.feed(b"\n\"status\"}\n"), Err(LineError::MoreThanALine));
    }

    #[test]
    fn the_limit_counts_the_newline_and_is_kept_as_bytes_come() {
        for (bytes, end) in [
            (&b"1234567\n"[..], Ok(true)),
            (b"1234567", Ok(false)),
            (b"12345678", Err(LineError::TooLong)),
            (b"12345678\n", Err(LineError::TooLong)),
            (b"12345678901234567890", Err(LineError::TooLong)),
            (b"1234567\nx", Err(LineError::MoreThanALine)),
        ] {
            let mut reader = LineReader::new(8);
            assert_eq!(reader.feed(bytes), end, "{bytes:?}");
            assert!(reader.line().len() < 8);
        }
        let mut reader = LineReader::new(8);
        assert!((0..7).all(|_| reader.feed(b"x") == Ok(false)));
        assert_eq!(reader.feed(b"x"), Err(LineError::TooLong));
    }
}
