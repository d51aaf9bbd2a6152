//! multistream-select on a stream, bytes in and bytes out: which protocol the stream speaks.
//!
//! A message is a length, as an unsigned varint, and a line; each side begins with the header line. The dialer proposes
//! protocols, the listener repeats the one it takes or says `na`.
//! <https://github.com/multiformats/multistream-select>

use super::error::NegotiateError;

const HEADER: &[u8] = b"/multistream/1.0.0\n";
const NOT_AVAILABLE: &[u8] = b"na\n";
const LIST: &[u8] = b"ls\n";

/// Bytes of a line that are kept: as many as the name of a protocol may have here, its newline included.
const KEPT_BYTES: usize = 80;
/// Bytes of the longest line that is let pass. Nobody's protocol has a longer name.
const LINE_BYTES: usize = 1_024;
/// Proposals that a dialer may make in vain.
const ROUNDS: u8 = 32;

fn put(out: &mut Vec<u8>, line: &[u8]) {
    put_length(out, line.len());
    out.extend_from_slice(line);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length < 1 << 14, "no message here has a length of three bytes");
    if length >= 0x80 {
        out.push(length as u8 | 0x80);
        out.push((length >> 7) as u8);
    } else {
        out.push(length as u8);
    }
}

fn put_protocol(out: &mut Vec<u8>, protocol: &str) {
    put_length(out, protocol.len() + 1);
    out.extend_from_slice(protocol.as_bytes());
    out.push(b'\n');
}

/// Gathers the bytes of one message, and never takes one of what follows it.
#[derive(Debug)]
struct Line {
    kept: [u8; KEPT_BYTES],
    length: usize,
    /// Bytes of the length that have come, and whether it is complete.
    length_bytes: u8,
    measured: bool,
    have: usize,
}

impl Line {
    fn new() -> Self {
        Self { kept: [0; KEPT_BYTES], length: 0, length_bytes: 0, measured: false, have: 0 }
    }

    /// How many bytes to give it next, at most.
    fn wants(&self) -> usize {
        if self.measured { self.length - self.have } else { 1 }
    }

    /// Takes bytes, no more than it wants, and says whether the line is complete.
    fn give(&mut self, bytes: &[u8]) -> Result<bool, NegotiateError> {
        if self.measured {
            for byte in bytes {
                if let Some(place) = self.kept.get_mut(self.have) {
                    *place = *byte;
                }
                self.have += 1;
            }
            return Ok(self.have == self.length);
        }
        for byte in bytes {
            self.length |= usize::from(byte & 0x7f) << (7 * self.length_bytes);
            self.length_bytes += 1;
            self.measured = byte & 0x80 == 0;
        }
        if self.length > LINE_BYTES || self.length_bytes == 2 && !self.measured {
            return Err(violation(&format!("a line may have {LINE_BYTES} bytes, and one has more")));
        }
        if self.measured && self.length == 0 {
            return Err(violation("a line is empty"));
        }
        Ok(false)
    }

    /// The complete line with its newline; of one that is too long to mean anything here, the beginning.
    fn text(&self) -> &[u8] {
        &self.kept[..self.length.min(KEPT_BYTES)]
    }

    fn is(&self, protocol: &str) -> bool {
        self.length == protocol.len() + 1 && self.text().strip_suffix(b"\n") == Some(protocol.as_bytes())
    }
}

fn violation(reason: &str) -> NegotiateError {
    NegotiateError::Violation(reason.to_owned())
}

fn unexpected(line: &Line) -> NegotiateError {
    let text = line.text();
    violation(&format!("the line \"{}\" has no place there", text[..text.len().min(40)].escape_ascii()))
}

/// The side that opened the stream.
#[derive(Debug)]
pub(super) struct Dialer {
    protocols: &'static [&'static str],
    proposed: usize,
    greeted: bool,
    line: Line,
}

impl Dialer {
    /// Begins with the first proposal, which goes to `out` behind the header. `None` when there is nothing to propose.
    pub(super) fn begin(protocols: &'static [&'static str], out: &mut Vec<u8>) -> Option<Self> {
        let first = protocols.first()?;
        debug_assert!(protocols.iter().all(|name| name.len() < KEPT_BYTES), "a protocol's name is too long");
        put(out, HEADER);
        put_protocol(out, first);
        Some(Self { protocols, proposed: 0, greeted: false, line: Line::new() })
    }

    pub(super) fn wants(&self) -> usize {
        self.line.wants()
    }

    /// What is proposed.
    pub(super) fn proposed(&self) -> &'static str {
        self.protocols[self.proposed]
    }

    /// Takes bytes, no more than it wants. Gives the index of the protocol that was agreed on.
    pub(super) fn give(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, NegotiateError> {
        if !self.line.give(bytes)? {
            return Ok(None);
        }
        let line = std::mem::replace(&mut self.line, Line::new());
        if !self.greeted && line.text() == HEADER {
            self.greeted = true;
        } else if self.greeted && line.is(self.proposed()) {
            return Ok(Some(self.proposed));
        } else if self.greeted && line.text() == NOT_AVAILABLE {
            self.proposed += 1;
            put_protocol(out, self.protocols.get(self.proposed).ok_or(NegotiateError::Refused)?);
        } else {
            return Err(unexpected(&line));
        }
        Ok(None)
    }
}

/// The side that the stream was opened to.
#[derive(Debug)]
pub(super) struct Listener {
    greeted: bool,
    rounds: u8,
    line: Line,
}

impl Listener {
    pub(super) fn begin() -> Self {
        Self { greeted: false, rounds: 0, line: Line::new() }
    }

    pub(super) fn wants(&self) -> usize {
        self.line.wants()
    }

    /// Whether the dialer has been told that something is not available. It should hear of it soon: it may have gone
    /// on as if it were.
    pub(super) fn refused(&self) -> bool {
        self.rounds > 0
    }

    /// Takes bytes, no more than it wants. Gives the index of the protocol that was agreed on.
    pub(super) fn give(
        &mut self,
        bytes: &[u8],
        protocols: &[&'static str],
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, NegotiateError> {
        if !self.line.give(bytes)? {
            return Ok(None);
        }
        let line = std::mem::replace(&mut self.line, Line::new());
        if !self.greeted {
            self.greeted = line.text() == HEADER;
            put(out, HEADER);
            return if self.greeted { Ok(None) } else { Err(unexpected(&line)) };
        }
        if let Some(index) = protocols.iter().position(|protocol| line.is(protocol)) {
            put(out, line.text());
            return Ok(Some(index));
        }
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return Err(violation(&format!("{ROUNDS} proposals may be made, and there are more")));
        }
        match line.text() {
            LIST => put_list(out, protocols),
            [b'/', ..] => put(out, NOT_AVAILABLE),
            _ => return Err(unexpected(&line)),
        }
        Ok(None)
    }
}

/// The answer to `ls`: one message that holds all names as messages, and a newline.
fn put_list(out: &mut Vec<u8>, protocols: &[&'static str]) {
    let mut list = Vec::new();
    protocols.iter().for_each(|protocol| put_protocol(&mut list, protocol));
    list.push(b'\n');
    put(out, &list);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOKEN: [&str; 2] = ["/ipfs/ping/1.0.0", "/mcp+p2p/1.0.0"];

    /// Gives a listener the bytes as it wants them, `piece` at most at a time.
    fn listen(bytes: &[u8], piece: usize) -> (Result<Option<usize>, NegotiateError>, Vec<u8>, usize) {
        let (mut listener, mut out, mut used) = (Listener::begin(), Vec::new(), 0);
        while used < bytes.len() {
            let end = bytes.len().min(used + listener.wants().min(piece));
            let given = listener.give(&bytes[used..end], &SPOKEN, &mut out);
            used = end;
            if !matches!(given, Ok(None)) {
                return (given, out, used);
            }
        }
        (Ok(None), out, used)
    }

    #[test]
    fn a_listener_repeats_what_it_speaks_and_takes_nothing_of_what_follows() {
        let dialled = b"\x13/multistream/1.0.0\n\x0f/mcp+p2p/1.0.0\nBODY";
        for piece in 1..40 {
            let (agreed, out, used) = listen(dialled, piece);
            assert_eq!(agreed.unwrap(), Some(1));
            assert_eq!(out, &dialled[..36]);
            assert_eq!(&dialled[used..], b"BODY");
        }
    }

    #[test]
    fn a_listener_refuses_lists_and_then_agrees() {
        let long = format!("/{}\n", "x".repeat(300));
        let mut dialled = b"\x13/multistream/1.0.0\n\x06/nope\n\x03ls\n".to_vec();
        put(&mut dialled, long.as_bytes());
        dialled.extend_from_slice(b"\x11/ipfs/ping/1.0.0\n");
        let (agreed, out, _) = listen(&dialled, 7);
        assert_eq!(agreed.unwrap(), Some(0));
        let expected = b"\x13/multistream/1.0.0\n\x03na\n\
            \x23\x11/ipfs/ping/1.0.0\n\x0f/mcp+p2p/1.0.0\n\n\x03na\n\x11/ipfs/ping/1.0.0\n";
        assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn a_listener_ends_what_is_no_negotiation() {
        let header = b"\x13/multistream/1.0.0\n";
        let many = [header, &b"\x03/x\n".repeat(33)[..]].concat();
        let cases: [(&[u8], &str); 6] = [
            (b"\x04GET \n", "\"GET \" has no place"),
            (b"\x13/multistream/2.0.0\n", "has no place"),
            (b"\xff\xff", "1024 bytes"),
            (b"\x00", "empty"),
            (&[&header[..], b"\x03hi\n"].concat(), "\"hi\\n\" has no place"),
            (&many, "32 proposals"),
        ];
        for (bytes, expected) in cases {
            let error = listen(bytes, 100).0.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_dialer_goes_on_to_its_next_protocol_and_gives_up_after_the_last() {
        let mut out = Vec::new();
        let mut dialer = Dialer::begin(&["/a", "/b"], &mut out).unwrap();
        assert_eq!(out, b"\x13/multistream/1.0.0\n\x03/a\n");
        out.clear();
        let mut give = |bytes: &[u8], out: &mut Vec<u8>| {
            let mut given = Ok(None);
            let mut rest = bytes;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(dialer.wants().min(rest.len()));
                given = dialer.give(now, out);
                rest = later;
            }
            given
        };
        assert!(matches!(give(b"\x13/multistream/1.0.0\n\x03na\n", &mut out), Ok(None)));
        assert_eq!(out, b"\x03/b\n");
        assert!(matches!(give(b"\x03na\n", &mut out), Err(NegotiateError::Refused)));
        let mut dialer = Dialer::begin(&["/a"], &mut out).unwrap();
        let error = dialer.give(b"\x03", &mut out).and_then(|_| dialer.give(b"/a\n", &mut out)).unwrap_err();
        assert!(error.to_string().contains("no place"), "an answer before the header: {error}");
        assert!(Dialer::begin(&[], &mut out).is_none());
    }
}
