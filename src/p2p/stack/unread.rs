//! Bytes that came on the streams of a connection and that nobody has read.
//!
//! Yamux lets a peer send 256 KiB on each stream before anything is read there, and has no bound for all of them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The count of one connection.
#[derive(Debug)]
pub(super) struct Unread {
    streams: RefCell<HashMap<u32, u64, BuildHasherDefault<Same>>>,
    total: Cell<u64>,
    max_bytes: usize,
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
        self.streams.borrow_mut().entry(stream).or_insert(0);
    }

    /// A frame with so many bytes is on its way. Yamux throws away what comes on streams that have ended.
    pub(super) fn came(&self, stream: u32, bytes: u32) {
        if let Some(unread) = self.streams.borrow_mut().get_mut(&stream) {
            *unread += u64::from(bytes);
            self.total.set(self.total.get() + u64::from(bytes));
        }
    }

    /// So many bytes were read.
    pub(super) fn read(&self, stream: u32, bytes: usize) {
        if let Some(unread) = self.streams.borrow_mut().get_mut(&stream) {
            let bytes = (*unread).min(bytes as u64);
            *unread -= bytes;
            self.total.set(self.total.get() - bytes);
        }
    }

    /// Nobody will read this stream any more.
    pub(super) fn end(&self, stream: u32) {
        let left = self.streams.borrow_mut().remove(&stream).unwrap_or(0);
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

    #[test]
    fn what_is_read_and_what_nobody_will_read_does_not_count() {
        let unread = Unread::new(100);
        unread.came(3, 1_000);
        assert!(!unread.is_exceeded(), "stream 3 never began");
        unread.begin(3);
        unread.came(3, 70);
        unread.begin(5);
        unread.came(5, 40);
        assert!(unread.is_exceeded());
        unread.read(3, 10);
        assert!(!unread.is_exceeded());
        unread.came(3, 1);
        assert!(unread.is_exceeded());
        unread.end(5);
        unread.came(5, 500);
        assert_eq!(unread.total.get(), 61);
        unread.end(3);
        assert_eq!((unread.total.get(), unread.streams.borrow().len()), (0, 0));
    }
}
