//! Bytes that came on the streams of a connection and that nobody has read.
//!
//! Yamux lets a peer send 256 KiB on each stream before anything is read there, and has no bound for all of them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::frames::Header;

/// The count of one connection, and which of its streams the peer has ended.
#[derive(Debug)]
pub(super) struct Unread {
    streams: RefCell<HashMap<u32, Stream, BuildHasherDefault<Same>>>,
    total: Cell<u64>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Stream {
    unread: u64,
    finished: bool,
}

impl Unread {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { streams: RefCell::default(), total: Cell::new(0), max_bytes }
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether more is unread than may be.
    pub(super) fn is_exceeded(&self) -> bool {
        self.total.get() > self.max_bytes as u64
    }

    /// A stream begins, if it has not already.
    pub(super) fn begin(&self, stream: u32) {
        self.streams.borrow_mut().entry(stream).or_default();
    }

    /// A frame has come, or is on its way. Yamux throws away what comes on streams that have ended.
    pub(super) fn came(&self, header: Header) {
        if header.kind > Header::WINDOW_UPDATE {
            return;
        }
        let mut streams = self.streams.borrow_mut();
        let stream = match header.flags & Header::SYN {
            0 => streams.get_mut(&header.stream),
            _ => Some(streams.entry(header.stream).or_default()),
        };
        let Some(stream) = stream else { return };
        stream.finished |= header.flags & Header::FIN != 0;
        // Whoever had no more to say may still take back what it asked for.
        stream.finished &= header.flags & Header::RST == 0;
        if header.kind == Header::DATA {
            stream.unread += u64::from(header.length);
            self.total.set(self.total.get() + u64::from(header.length));
        }
    }

    /// So many bytes were read.
    pub(super) fn read(&self, stream: u32, bytes: usize) {
        if let Some(stream) = self.streams.borrow_mut().get_mut(&stream) {
            let bytes = stream.unread.min(bytes as u64);
            stream.unread -= bytes;
            self.total.set(self.total.get() - bytes);
        }
    }

    /// Whether the peer has said that it will say no more. A reset stream ends without that.
    pub(super) fn is_finished(&self, stream: u32) -> bool {
        self.streams.borrow().get(&stream).is_some_and(|stream| stream.finished)
    }

    /// Nobody will read this stream any more.
    pub(super) fn end(&self, stream: u32) {
        let left = self.streams.borrow_mut().remove(&stream).map_or(0, |stream| stream.unread);
        self.total.set(self.total.get() - left);
    }
}

/// Stream ids count upwards by two, so they need no hashing.
#[derive(Debug, Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u32(&mut self, id: u32) {
        // The table looks at the upper bits too.
        self.0 = u64::from(id >> 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(stream: u32, flags: u16, length: u32) -> Header {
        Header { kind: Header::DATA, flags, stream, length }
    }

    #[test]
    fn what_is_read_and_what_nobody_will_read_does_not_count() {
        let unread = Unread::new(100);
        unread.came(data(3, 0, 1_000));
        assert!(!unread.is_exceeded(), "stream 3 never began");
        unread.begin(3);
        unread.came(data(3, 0, 70));
        unread.came(data(5, Header::SYN, 40));
        assert!(unread.is_exceeded());
        unread.read(3, 10);
        assert!(!unread.is_exceeded());
        unread.came(data(3, Header::FIN, 1));
        assert!(unread.is_exceeded() && unread.is_finished(3) && !unread.is_finished(5));
        unread.came(data(3, Header::RST, 0));
        assert!(!unread.is_finished(3), "a reset ends it otherwise");
        unread.end(5);
        unread.came(data(5, 0, 500));
        assert_eq!(unread.total.get(), 61);
        unread.end(3);
        assert_eq!((unread.total.get(), unread.streams.borrow().len()), (0, 0));
    }
}
