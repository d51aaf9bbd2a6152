//! One event stream of a session: its events, kept for the connection that reads it now and for one that resumes it.
//!
//! The call that writes and the connection that reads may be on different cores; they share this log and wake each other.
//! A stream has one reader. One that attaches takes the stream over from the one before, so that no event goes to two
//! connections; between readers the stream goes on, and what is written waits here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::mcp::session::event_id::EventId;
use crate::mcp::session::replay::Replay;

/// What an event costs beside its bytes.
const OVERHEAD: usize = 64;

pub(crate) struct StreamLog {
    tag: u32,
    pub(crate) stream: u32,
    /// Its number among all logs of the process.
    number: u64,
    replay: Arc<Replay>,
    /// What the session keeps, over all its streams.
    session_bytes: Arc<AtomicU64>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The events after the first `dropped` ones.
    events: VecDeque<Box<[u8]>>,
    dropped: u64,
    bytes: u64,
    /// Set at the stream's last event; larger for a stream that ended later.
    finished: Option<u64>,
    /// Nothing can be read any more.
    over: bool,
    /// Nobody can resume it, so what was read is dropped.
    forgotten: bool,
    reader: Option<Reader>,
    writer: Option<Waker>,
    /// When a sweep first saw it without a reader.
    quiet_since: Option<Instant>,
}

struct Reader {
    turn: u64,
    /// The last event that was handed out.
    read: u64,
    unread_bytes: usize,
    /// The server wants the client to come back later.
    hung_up: bool,
    waker: Option<Waker>,
}

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

impl StreamLog {
    pub(crate) fn new(
        replay: &Arc<Replay>,
        session_bytes: &Arc<AtomicU64>,
        tag: u32,
        stream: u32,
    ) -> Arc<StreamLog> {
        let number = replay.reserve();
        let (replay, session_bytes) = (replay.clone(), session_bytes.clone());
        let log = StreamLog { tag, stream, number, replay, session_bytes, inner: Mutex::default() };
        let log = Arc::new(log);
        log.replay.enter(number, &log);
        log
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        crate::mcp::lock(&self.inner)
    }

    /// The id of the event with this sequence.
    pub(crate) fn event_id(&self, sequence: u64) -> EventId {
        EventId { tag: self.tag, stream: self.stream, sequence }
    }

    /// Appends an event. What nobody can read is dropped.
    pub(crate) fn push(&self, event: Vec<u8>) {
        self.append(Some(event), false);
    }

    /// Appends the last event, where there is one; then the stream ends.
    pub(crate) fn finish(&self, last: Option<Vec<u8>>) {
        self.append(last, true);
    }

    fn append(&self, event: Option<Vec<u8>>, is_last: bool) {
        let waker = {
            let mut inner = self.lock();
            if inner.over || inner.finished.is_some() {
                return;
            }
            if let Some(event) = event {
                let cost = inner.push(event);
                self.replay.add(cost);
                self.session_bytes.fetch_add(cost, Ordering::Relaxed);
            }
            inner.finished = is_last.then(|| self.replay.next_turn());
            inner.reader.as_mut().and_then(|reader| reader.waker.take())
        };
        wake(waker);
    }

    /// Ready while the stream takes events: always without a reader, otherwise while the reader keeps up.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        let unread = inner.reader.as_ref().map_or(0, |reader| reader.unread_bytes);
        if unread == 0 || (unread < self.replay.queue_bytes && !self.replay.is_over()) {
            return Poll::Ready(());
        }
        inner.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends the connection of the reader, or of the reader with that turn, once it has everything; the stream goes on.
    pub(crate) fn hang_up(&self, turn: Option<u64>) {
        let waker = {
            let mut inner = self.lock();
            let Some(reader) =
                inner.reader.as_mut().filter(|reader| turn.is_none_or(|turn| reader.turn == turn))
            else {
                return;
            };
            reader.hung_up = true;
            reader.waker.take()
        };
        wake(waker);
    }

    /// Ends the stream where it stands, and frees what it keeps.
    pub(crate) fn end(&self) {
        let wakers = {
            let mut inner = self.lock();
            inner.over = true;
            self.release(inner.clear());
            [inner.reader.as_mut().and_then(|reader| reader.waker.take()), inner.writer.take()]
        };
        wakers.into_iter().for_each(wake);
    }

    /// Nobody will resume it: what its reader has read, or nobody reads, is dropped from now on.
    pub(crate) fn forget(&self) {
        self.lock().forgotten = true;
        self.cut(u64::MAX);
    }

    /// Drops the oldest events, as far as the reader has read them, until so many bytes are free.
    pub(crate) fn cut(&self, bytes: u64) {
        let mut inner = self.lock();
        let (freed, events) = inner.cut(bytes);
        self.release(freed);
        self.replay.note_dropped(events);
    }

    pub(crate) fn has_reader(&self) -> bool {
        self.lock().reader.is_some()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Orders streams by how soon they may be forgotten: those that ended first, then those without a reader.
    pub(crate) fn age(&self) -> (bool, u64, bool) {
        let inner = self.lock();
        (inner.finished.is_none(), inner.finished.unwrap_or(0), inner.reader.is_some())
    }

    /// Ends a stream that has had no reader for so long.
    pub(crate) fn sweep(&self, now: Instant, ttl: Duration) {
        let is_over = {
            let mut inner = self.lock();
            if inner.over || inner.reader.is_some() {
                return;
            }
            let since = *inner.quiet_since.get_or_insert(now);
            now.saturating_duration_since(since) >= ttl
        };
        if is_over {
            self.end();
        }
    }

    /// Gives the stream a new reader, from the event after `after` on, or from now on. The one before loses it. `None`
    /// when `after` never was, or events behind it were dropped.
    pub(crate) fn attach(self: &Arc<Self>, after: Option<u64>) -> Option<LogReader> {
        let turn = self.replay.next_turn();
        let wakers = {
            let mut inner = self.lock();
            let last = inner.last();
            let read = after.unwrap_or(last);
            if inner.over || inner.forgotten || read < inner.dropped || read > last {
                return None;
            }
            let unread = inner.events.iter().skip((read - inner.dropped) as usize);
            let unread_bytes = unread.map(|event| event.len()).sum();
            let reader = Reader { turn, read, unread_bytes, hung_up: false, waker: None };
            let before = inner.reader.replace(reader);
            inner.quiet_since = None;
            [before.and_then(|before| before.waker), inner.writer.take()]
        };
        wakers.into_iter().for_each(wake);
        Some(LogReader { log: self.clone(), turn })
    }

    fn release(&self, bytes: u64) {
        self.replay.remove(bytes);
        self.session_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for StreamLog {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.release(bytes);
        self.replay.leave(self.number);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn cost(event: &[u8]) -> u64 {
    (event.len() + OVERHEAD) as u64
}

impl Inner {
    /// The sequence of the last event.
    fn last(&self) -> u64 {
        self.dropped + self.events.len() as u64
    }

    fn push(&mut self, event: Vec<u8>) -> u64 {
        let cost = cost(&event);
        if let Some(reader) = &mut self.reader {
            reader.unread_bytes += event.len();
        }
        self.events.push_back(event.into());
        self.bytes += cost;
        cost
    }

    fn clear(&mut self) -> u64 {
        self.dropped = self.last();
        self.events = VecDeque::new();
        std::mem::take(&mut self.bytes)
    }

    /// Frees bytes; how many, and of how many events.
    fn cut(&mut self, wanted: u64) -> (u64, u64) {
        let most = self.reader.as_ref().map_or(u64::MAX, |reader| reader.read);
        let (mut freed, mut events) = (0, 0);
        while freed < wanted && self.dropped < most {
            let Some(event) = self.events.pop_front() else { break };
            freed += cost(&event);
            events += 1;
            self.dropped += 1;
        }
        self.bytes -= freed;
        (freed, events)
    }

    fn reader(&mut self, turn: u64) -> Option<&mut Reader> {
        self.reader.as_mut().filter(|reader| reader.turn == turn)
    }
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
        let (last, over) = (inner.last(), inner.over);
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

    /// The sequence of the last event that was taken.
    pub(crate) fn position(&self) -> u64 {
        self.log.lock().reader(self.turn).map_or(0, |reader| reader.read)
    }

    /// Whether [`LogReader::take`] would find something.
    pub(crate) fn is_ready(&self) -> bool {
        let mut inner = self.log.lock();
        let (last, over) = (inner.last(), inner.over);
        !over && inner.reader(self.turn).is_some_and(|reader| reader.read < last)
    }

    /// Appends the next event, and returns its id.
    pub(crate) fn take(&self, out: &mut Vec<u8>) -> Option<EventId> {
        let (sequence, writer) = {
            let mut inner = self.log.lock();
            let inner = &mut *inner;
            if inner.over {
                return None;
            }
            let reader = inner.reader.as_mut().filter(|reader| reader.turn == self.turn)?;
            let event = inner.events.get((reader.read - inner.dropped) as usize)?;
            out.extend_from_slice(event);
            reader.read += 1;
            reader.unread_bytes -= event.len();
            let sequence = reader.read;
            if inner.forgotten {
                let (freed, _) = inner.cut(u64::MAX);
                self.log.release(freed);
            }
            (sequence, inner.writer.take())
        };
        wake(writer);
        Some(self.log.event_id(sequence))
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let writer = {
            let mut inner = self.log.lock();
            if inner.reader(self.turn).is_none() {
                return;
            }
            inner.reader = None;
            if inner.forgotten {
                let freed = inner.clear();
                self.log.release(freed);
            }
            inner.writer.take()
        };
        wake(writer);
    }
}
