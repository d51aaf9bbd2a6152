//! Finds the end of a request head, and refuses line ends that two parsers could read differently.
//!
//! httparse accepts a bare LF as a line end and skips any number of empty lines. A proxy in front of this server may not,
//! and the difference smuggles requests, so each line end is looked at before httparse sees the head.

/// Where the search for the end of one head stands. Every byte is looked at once, however it arrives.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Scan {
    /// Bytes already looked at.
    at: usize,
    /// Where the current line starts.
    line_start: usize,
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
        if self.at == 0
            && let Some(found) = check_start(window)
        {
            return found;
        }
        while let Some(offset) = memchr::memchr2(b'\r', b'\n', &window[self.at..]) {
            let position = self.at + offset;
            if window[position] == b'\n' {
                return Found::BareLf;
            }
            match window.get(position + 1) {
                Some(b'\n') if position == self.line_start => return Found::End(position + 2),
                Some(b'\n') => {
                    self.at = position + 2;
                    self.line_start = self.at;
                }
                Some(_) => return Found::BareCr,
                None => {
                    self.at = position;
                    return Found::More;
                }
            }
        }
        self.at = window.len();
        Found::More
    }

    /// Bytes that will not be looked at again.
    pub(super) fn seen(&self) -> usize {
        self.at
    }

    /// True once the request line is complete.
    pub(super) fn past_request_line(&self) -> bool {
        self.line_start > 0
    }
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
    fn a_head_fed_byte_by_byte_ends_where_it_ends_at_once() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        let mut scan = Scan::default();
        for end in 0..head.len() {
            assert_eq!(scan.advance(&head[..end]), Found::More);
            assert!(scan.at + 1 >= end, "the search goes back more than one byte");
        }
        assert_eq!(scan.advance(head), Found::End(head.len()));
        assert!(scan.past_request_line());
    }
}
