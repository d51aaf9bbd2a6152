//! The writing end of a call's stream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use crate::limits::Limit;
use crate::mcp::listen::feed::Feed;
use crate::mcp::session::channel::Channel;
use crate::mcp::session::entry::{InUse, Session};
use crate::mcp::session::log::StreamLog;
use crate::mcp::session::replay::Replay;

/// Where a call of a session puts its events and its answer; dropping it ends the stream.
pub(crate) struct SessionStream {
    log: Arc<StreamLog>,
    session: Arc<Session>,
    replay: Arc<Replay>,
    bytes: Arc<AtomicU64>,
    part: Part,
}

/// What of the stream is the call's.
enum Part {
    All,
    /// Its messages; the stream goes on after them.
    Some(Arc<Channel>),
    /// Nothing any more.
    Done,
}

impl SessionStream {
    /// Begins a stream. The feed is its first reader, for the connection of the call; there is none when the session has
    /// ended meanwhile. The limit is one for which an older stream was forgotten.
    pub(crate) fn open(
        session: &Arc<Session>,
        replay: &Arc<Replay>,
    ) -> (SessionStream, Option<Feed>, Option<Limit>) {
        let opened = session.streams.open(replay);
        let retry_ms = session.revision.primes_streams().then_some(replay.retry_ms);
        let feed = opened.reader.map(|reader| {
            session.enter();
            Feed::of_call(reader, retry_ms, InUse(session.clone()), None)
        });
        let (session, replay) = (session.clone(), replay.clone());
        let stream = SessionStream { log: opened.log, session, replay, bytes: opened.bytes, part: Part::All };
        (stream, feed, opened.hit)
    }

    /// Writes to the one stream of a channel, which has a session.
    pub(crate) fn over(channel: &Arc<Channel>, replay: &Arc<Replay>) -> Option<SessionStream> {
        let session = channel.session()?.clone();
        channel.note_call();
        let (log, replay, bytes) = (channel.log.clone(), replay.clone(), Arc::default());
        Some(SessionStream { log, session, replay, bytes, part: Part::Some(channel.clone()) })
    }

    /// Ready while the stream takes events.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        self.log.poll_room(cx)
    }

    /// Appends an event; the limit that made older ones go, if any.
    pub(crate) fn write(&self, event: Vec<u8>) -> Option<Limit> {
        self.log.push(event);
        self.trim()
    }

    /// Appends the last message and ends the stream, or the call's part of it.
    pub(crate) fn finish(&mut self, last: Option<Vec<u8>>) -> Option<Limit> {
        match std::mem::replace(&mut self.part, Part::Done) {
            Part::All => self.log.finish(last),
            Part::Some(channel) => {
                if let Some(last) = last {
                    self.log.push(last);
                }
                channel.end_call();
                self.log.wake_reader();
            }
            Part::Done => {}
        }
        self.trim()
    }

    /// Has the client come back later for the rest.
    pub(crate) fn hang_up(&self) {
        if matches!(self.part, Part::All) {
            self.log.hang_up(None);
        }
    }

    fn trim(&self) -> Option<Limit> {
        self.session.streams.bound(&self.replay, &self.bytes)
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.finish(None);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::limits::Limits;
    use crate::mcp::listen::hub::Hub;
    use crate::mcp::listen::inbox::{Inbox, Wanted};
    use crate::mcp::message::capability::ClientCapabilities;
    use crate::mcp::message::era::Revision;
    use crate::mcp::session::entry::SessionId;
    use crate::mcp::session::reader::Status;

    #[test]
    fn a_reader_that_finds_no_calls_finds_every_answer() {
        let replay = Arc::new(Replay::new(&Limits::default()));
        let id = SessionId::from_bits(1);
        let registration = Hub::default().register(Arc::new(Inbox::new(Wanted::default(), Vec::new())));
        let (channel, reader) = Channel::new(id, "p", registration, &replay).unwrap();
        let session = Session::new(id, "p".into(), Revision::V2024_11_05, ClientCapabilities::default());
        assert!(channel.begin(Arc::new(session)));
        let mut out = Vec::new();
        for _ in 0..2_000 {
            let mut stream = SessionStream::over(&channel, &replay).unwrap();
            let writer = std::thread::spawn(move || stream.finish(Some(b"answer".to_vec())));
            while channel.has_calls() {
                std::hint::spin_loop();
            }
            assert_eq!(reader.poll(&Context::from_waker(Waker::noop())), Status::Ready);
            assert!(reader.take(&mut out).is_some());
            writer.join().unwrap();
        }
    }
}
