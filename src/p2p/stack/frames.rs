//! Yamux frames as they pass: only their headers are looked at.
//!
//! <https://github.com/hashicorp/yamux/blob/master/spec.md>, "Framing".

const HEADER_BYTES: usize = 12;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) flags: u16,
    pub(super) stream: u32,
    /// Bytes of the body, of a data frame; something else in the other kinds.
    pub(super) length: u32,
}

impl Header {
    pub(super) const DATA: u8 = 0;
    pub(super) const WINDOW_UPDATE: u8 = 1;
    pub(super) const PING: u8 = 2;
    pub(super) const GO_AWAY: u8 = 3;
    pub(super) const SYN: u16 = 1;
    pub(super) const FIN: u16 = 4;
    pub(super) const RST: u16 = 8;
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    have: usize,
    body_left: usize,
}

impl Frames {
    /// Takes the next bytes, in pieces of any size, and shows each header that they complete.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Header)) {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let skipped = self.body_left.min(bytes.len());
                self.body_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER_BYTES - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEADER_BYTES {
                self.have = 0;
                let header = self.parsed();
                if header.kind == Header::DATA {
                    self.body_left = header.length as usize;
                }
                seen(header);
            }
        }
    }

    /// Whether the next byte begins a frame.
    pub(super) fn at_header(&self) -> bool {
        self.have == 0 && self.body_left == 0
    }

    fn parsed(&self) -> Header {
        let [_version, kind, flags @ .., s0, s1, s2, s3, l0, l1, l2, l3] = self.header;
        Header {
            kind,
            flags: u16::from_be_bytes(flags),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_seen_in_whatever_pieces_the_bytes_come() {
        let bytes = [
            &[0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 3][..],
            b"abc",
            &[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 1, 0],
            &[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0],
            &[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ]
        .concat();
        let expected = [
            Header { kind: 0, flags: 1, stream: 7, length: 3 },
            Header { kind: 1, flags: 2, stream: 9, length: 256 },
            Header { kind: 0, flags: 4, stream: 7, length: 0 },
            Header { kind: 3, flags: 0, stream: 0, length: 1 },
        ];
        for piece in 1..=bytes.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            bytes.chunks(piece).for_each(|chunk| frames.pass(chunk, |header| seen.push(header)));
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }
}
