//! Messages that were read before their turn: a stream is read on while it is full, because whoever does not read hears of
//! no reset, of no answer to a question and of no cancellation.

use std::collections::VecDeque;

use crate::mcp::{ErrorKind, SmallText, same_id};

/// Past this much that waits, the stream is not read. One message always has room, however long it is.
const MAX_BYTES: usize = 64 << 10;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A message.
    Message(Box<[u8]>),
    /// Something after which nothing can be read, and what is said about it.
    Broken(ErrorKind, String),
}

/// What waits on one stream, in the order in which it came.
#[derive(Default)]
pub(super) struct Ahead {
    queue: VecDeque<(Option<SmallText>, Read)>,
    bytes: usize,
}

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether anything may follow.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < MAX_BYTES && !matches!(self.queue.back(), Some((_, Read::Broken(..))))
    }

    /// What it holds, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a message behind the others. `id` is its request's as JSON text.
    pub(super) fn push(&mut self, id: Option<&str>, frame: &[u8]) {
        self.bytes += cost(frame);
        self.queue.push_back((id.map(SmallText::from), Read::Message(frame.into())));
    }

    /// Puts the end of what can be read behind the others.
    pub(super) fn push_broken(&mut self, kind: ErrorKind, sentence: String) {
        self.queue.push_back((None, Read::Broken(kind, sentence)));
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Read> {
        let (_, read) = self.queue.pop_front()?;
        if let Read::Message(frame) = &read {
            self.bytes -= cost(frame);
        }
        Some(read)
    }

    /// Forgets the requests with this id (JSON text), which are not wanted any more.
    pub(super) fn cancel(&mut self, id: &str) {
        self.queue.retain(|(known, read)| {
            let is_meant = known.as_ref().is_some_and(|known| same_id(known.as_str(), id));
            if let (true, Read::Message(frame)) = (is_meant, read) {
                self.bytes -= cost(frame);
            }
            !is_meant
        });
    }
}

/// What a message takes, its place in the queue included.
fn cost(frame: &[u8]) -> usize {
    frame.len() + size_of::<(Option<SmallText>, Read)>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_in_bytes_and_gives_all_of_them_back() {
        let mut ahead = Ahead::default();
        let mut count = 0;
        while ahead.has_room() {
            ahead.push(Some("1"), b"{}");
            count += 1;
        }
        assert!((100..10_000).contains(&count), "small messages cost more than their bytes: {count}");
        ahead.push(Some("\"a\""), &[b' '; 1 << 20]);
        assert!(ahead.held_bytes() > 1 << 20);
        ahead.cancel("2");
        ahead.cancel("1");
        assert!(!ahead.has_room() && !ahead.is_empty());
        ahead.cancel("\"\\u0061\"");
        assert_eq!((ahead.held_bytes(), ahead.pop()), (0, None));
    }

    #[test]
    fn nothing_follows_what_cannot_be_read() {
        let mut ahead = Ahead::default();
        ahead.push(None, b"{}");
        ahead.push_broken(ErrorKind::Parse, "no".to_owned());
        assert!(!ahead.has_room());
        assert_eq!(ahead.pop(), Some(Read::Message(b"{}".as_slice().into())));
        assert_eq!(ahead.pop(), Some(Read::Broken(ErrorKind::Parse, "no".to_owned())));
        assert!(ahead.has_room() && ahead.is_empty());
    }
}
