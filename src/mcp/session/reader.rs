//! The reading end of a stream.

use std::sync::Arc;
use std::task::{Context, Waker};

use crate::mcp::session::event_id::EventId;
use crate::mcp::session::log::StreamLog;

/// What a reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// An event to take.
    Ready,
    /// Nothing yet; the task is woken.
    Waiting,
    /// The stream has ended and everything was taken, another connection reads it, or this one is to be closed.
    Over,
}

/// The one connection that reads a stream; dropping it leaves the stream to the next.
pub(crate) struct LogReader {
    pub(crate) log: Arc<StreamLog>,
    pub(crate) turn: u64,
}

impl LogReader {
    /// What there is to read; the task is woken when that changes.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Status {
        let mut inner = self.log.lock();
        let (last, over) = (inner.kept.last(), inner.over);
        let finished = inner.finished.is_some();
        let Some(reader) = inner.reader(self.turn).filter(|_| !over) else { return Status::Over };
        if reader.read < last {
            return Status::Ready;
        }
        if finished || reader.hung_up {
            return Status::Over;
        }
        match &mut reader.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Status::Waiting
    }

    /// Ends this reader's part once it has everything; the stream goes on.
    pub(crate) fn hang_up(&self) {
        self.log.hang_up(Some(self.turn));
    }

    /// The sequence of the last event that was taken.
    pub(crate) fn position(&self) -> u64 {
        self.log.lock().reader(self.turn).map_or(0, |reader| reader.read)
    }

    /// Appends the next event, and returns its id.
    pub(crate) fn take(&self, out: &mut Vec<u8>) -> Option<EventId> {
        let (sequence, writers) = {
            let mut inner = self.log.lock();
            let inner = &mut *inner;
            if inner.over {
                return None;
            }
            let reader = inner.reader.as_mut().filter(|reader| reader.turn == self.turn)?;
            let event = inner.kept.get(reader.read + 1)?;
            out.extend_from_slice(event);
            reader.read += 1;
            reader.unread_bytes -= event.len();
            let sequence = reader.read;
            if inner.forgotten {
                let (freed, _) = inner.cut(u64::MAX);
                self.log.release(freed);
            }
            (sequence, std::mem::take(&mut inner.writers))
        };
        writers.into_iter().for_each(Waker::wake);
        Some(self.log.event_id(sequence))
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let writers = {
            let mut inner = self.log.lock();
            if inner.reader(self.turn).is_none() {
                return;
            }
            inner.reader = None;
            if inner.forgotten {
                let freed = inner.kept.clear();
                self.log.release(freed);
            }
            std::mem::take(&mut inner.writers)
        };
        writers.into_iter().for_each(Waker::wake);
    }
}
