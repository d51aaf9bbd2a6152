//! One event stream of a session: its events, kept for the connection that reads it now and for one that resumes it.
//!
//! The call that writes and the connection that reads may be on different cores; they share this log and wake each other.
//! A stream has one reader. One that attaches takes the stream over from the one before, so that no event goes to two
//! connections; between readers the stream goes on, and what is written waits here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::mcp::session::event_id::EventId;
use crate::mcp::session::kept::Kept;
use crate::mcp::session::reader::LogReader;
use crate::mcp::session::replay::Replay;
use crate::mcp::session::streams::Streams;

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
pub(super) struct Inner {
    pub(super) kept: Kept,
    /// Set at the stream's last event; larger for a stream that ended later.
    pub(super) finished: Option<u64>,
    /// Nothing can be read any more.
    pub(super) over: bool,
    /// Nobody can resume it, so what was read is dropped.
    pub(super) forgotten: bool,
    pub(super) reader: Option<Reader>,
    /// Who waits for room: the one call of the stream, or several where they share it.
    pub(super) writers: Vec<Waker>,
    /// When a sweep first saw it without a reader.
    quiet_since: Option<Instant>,
}

pub(super) struct Reader {
    pub(super) turn: u64,
    /// The last event that was handed out.
    pub(super) read: u64,
    pub(super) unread_bytes: usize,
    /// The server wants the client to come back later.
    pub(super) hung_up: bool,
    pub(super) waker: Option<Waker>,
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
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

    /// Appends an event to one of `streams`, and keeps those within what they may hold.
    pub(crate) fn push_bounded(&self, event: Vec<u8>, streams: &Streams) {
        self.push(event);
        streams.bound(&self.replay, &self.session_bytes);
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

    /// Whether the stream takes events: always without a reader, otherwise while the reader keeps up.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().has_room(&self.replay)
    }

    /// As [`StreamLog::has_room`]; the task is woken when there is room.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.has_room(&self.replay) {
            return Poll::Ready(());
        }
        if !inner.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.writers.push(cx.waker().clone());
        }
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

    /// Has the reader look again, though there is nothing new to read.
    pub(crate) fn wake_reader(&self) {
        let waker = self.lock().reader.as_mut().and_then(|reader| reader.waker.take());
        wake(waker);
    }

    /// Ends the stream where it stands, and frees what it keeps.
    pub(crate) fn end(&self) {
        let wakers = {
            let mut inner = self.lock();
            inner.over = true;
            self.release(inner.kept.clear());
            let reader = inner.reader.as_mut().and_then(|reader| reader.waker.take());
            (reader, std::mem::take(&mut inner.writers))
        };
        wakers.0.into_iter().chain(wakers.1).for_each(Waker::wake);
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
            let last = inner.kept.last();
            let read = after.unwrap_or(last);
            if inner.over || inner.forgotten || read < inner.kept.dropped() || read > last {
                return None;
            }
            let unread_bytes = inner.kept.bytes_after(read);
            let reader = Reader { turn, read, unread_bytes, hung_up: false, waker: None };
            let before = inner.reader.replace(reader);
            inner.quiet_since = None;
            (before.and_then(|before| before.waker), std::mem::take(&mut inner.writers))
        };
        wakers.0.into_iter().chain(wakers.1).for_each(Waker::wake);
        Some(LogReader { log: self.clone(), turn })
    }

    pub(super) fn release(&self, bytes: u64) {
        self.replay.remove(bytes);
        self.session_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for StreamLog {
    fn drop(&mut self) {
        let bytes = self.lock().kept.bytes();
        self.release(bytes);
        self.replay.leave(self.number);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Inner {
    fn has_room(&self, replay: &Replay) -> bool {
        let unread = self.reader.as_ref().map_or(0, |reader| reader.unread_bytes);
        unread == 0 || (unread < replay.queue_bytes && !replay.is_over())
    }

    fn push(&mut self, event: Vec<u8>) -> u64 {
        if let Some(reader) = &mut self.reader {
            reader.unread_bytes += event.len();
        }
        self.kept.push(event)
    }

    /// Frees bytes that nobody has yet to read; how many, and of how many events.
    pub(super) fn cut(&mut self, wanted: u64) -> (u64, u64) {
        let most = self.reader.as_ref().map_or(u64::MAX, |reader| reader.read);
        self.kept.cut(wanted, most)
    }

    pub(super) fn reader(&mut self, turn: u64) -> Option<&mut Reader> {
        self.reader.as_mut().filter(|reader| reader.turn == turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::mcp::session::reader::Status;

    fn log(change: impl FnOnce(&mut Limits)) -> (Arc<StreamLog>, Arc<Replay>, Arc<AtomicU64>) {
        let mut limits = Limits::default();
        change(&mut limits);
        let (replay, session_bytes) = (Arc::new(Replay::new(&limits)), Arc::default());
        (StreamLog::new(&replay, &session_bytes, 7, 1), replay, session_bytes)
    }

    fn status(reader: &LogReader) -> Status {
        reader.poll(&Context::from_waker(Waker::noop()))
    }

    fn text(reader: &LogReader) -> Option<String> {
        let mut out = Vec::new();
        reader.take(&mut out).map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_reader_gets_everything_up_to_the_end() {
        let (log, _, _) = log(|_| {});
        let reader = log.attach(Some(0)).unwrap();
        assert_eq!(status(&reader), Status::Waiting);
        log.push(b"a".to_vec());
        log.finish(Some(b"b".to_vec()));
        log.push(b"never".to_vec());
        assert_eq!(status(&reader), Status::Ready);
        assert_eq!((text(&reader), text(&reader), text(&reader)), (Some("a".into()), Some("b".into()), None));
        assert_eq!(status(&reader), Status::Over);
        drop(reader);
        let again = log.attach(Some(1)).unwrap();
        assert_eq!((text(&again), status(&again)), (Some("b".into()), Status::Over));
        assert!(log.attach(Some(3)).is_none());
    }

    #[test]
    fn the_latest_reader_has_the_stream_and_an_earlier_one_cannot_give_it_up() {
        let (log, _, _) = log(|_| {});
        let old = log.attach(Some(0)).unwrap();
        let new = log.attach(Some(0)).unwrap();
        log.push(b"a".to_vec());
        assert_eq!((status(&old), text(&old)), (Status::Over, None));
        log.hang_up(Some(old.turn));
        drop(old);
        assert!(log.has_reader());
        assert_eq!(
            (status(&new), text(&new), status(&new)),
            (Status::Ready, Some("a".into()), Status::Waiting)
        );
        log.hang_up(Some(new.turn));
        assert_eq!(status(&new), Status::Over);
    }

    #[test]
    fn a_reader_that_lags_holds_the_writer_and_nobody_does_not() {
        let (log, _, _) = log(|limits| limits.max_stream_queue_bytes = 1_024);
        let has_room = || log.poll_room(&Context::from_waker(Waker::noop())).is_ready();
        let reader = log.attach(Some(0)).unwrap();
        assert!(has_room());
        log.push(vec![b'x'; 2_000]);
        assert!(!has_room(), "one event is always taken, a second is not");
        text(&reader);
        assert!(has_room());
        log.push(vec![b'x'; 2_000]);
        drop(reader);
        assert!(has_room());
    }

    #[test]
    fn room_wakes_every_call_that_waits_for_it() {
        #[derive(Default)]
        struct Woken(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (log, _, _) = log(|limits| limits.max_stream_queue_bytes = 1_024);
        let reader = log.attach(Some(0)).unwrap();
        log.push(vec![b'x'; 2_000]);
        let calls = [Arc::new(Woken::default()), Arc::new(Woken::default())];
        for call in [&calls[0], &calls[1], &calls[0]] {
            assert!(log.poll_room(&Context::from_waker(&call.clone().into())).is_pending());
        }
        text(&reader);
        assert_eq!(calls.map(|call| call.0.load(Ordering::Relaxed)), [1, 1]);
    }

    #[test]
    fn what_the_reader_has_not_read_is_never_dropped() {
        let (log, replay, session_bytes) = log(|_| {});
        let reader = log.attach(Some(0)).unwrap();
        (0..10_u8).for_each(|at| log.push(vec![b'0' + at; 100]));
        assert_eq!((text(&reader).is_some(), text(&reader).is_some()), (true, true));
        log.cut(u64::MAX);
        assert_eq!((replay.bytes(), replay.dropped()), (8 * 164, 2));
        assert_eq!(session_bytes.load(Ordering::Relaxed), replay.bytes());
        assert!(log.attach(Some(1)).is_none() && status(&reader) == Status::Ready);
        log.forget();
        while text(&reader).is_some() {}
        assert_eq!(replay.bytes(), 0, "read once, gone");
        log.push(b"last".to_vec());
        drop(reader);
        assert_eq!(replay.bytes(), 0, "nobody can come back");
        drop(log);
        assert_eq!(session_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_end_of_the_session_frees_everything() {
        let (log, replay, _) = log(|_| {});
        let reader = log.attach(Some(0)).unwrap();
        log.push(b"a".to_vec());
        log.end();
        log.push(b"b".to_vec());
        assert_eq!((replay.bytes(), status(&reader), text(&reader)), (0, Status::Over, None));
        assert!(log.attach(Some(0)).is_none());
    }
}
