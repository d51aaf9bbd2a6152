//! GET in the revisions before 2026-07-28: the session's own stream, and the resumption of any of its streams.

use std::sync::Arc;

use crate::mcp::listen::feed::Feed;
use crate::mcp::listen::filter::Advertised;
use crate::mcp::message::answer::{Label, Outcome, Refusal};
use crate::mcp::message::era::{self, Era};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{At, RequestHead};
use crate::mcp::message::headers;
use crate::mcp::message::method::MethodKind;
use crate::mcp::serve::dispatcher::{Dispatcher, method_not_allowed};
use crate::mcp::session::entry::{InUse, Session};
use crate::mcp::session::event_id::EventId;
use crate::mcp::session::streams::Unreadable;

impl Dispatcher {
    /// Takes a GET: the stream of a session, or with `Last-Event-ID` the rest of the stream that the event was on.
    pub fn get(&self, head: &RequestHead<'_>, at: &At<'_>, out: &mut Vec<u8>) -> Outcome {
        if head.protocol_version.is_some_and(era::is_modern_name) {
            let message = "This protocol version has no stream on GET; send subscriptions/listen with POST";
            return method_not_allowed(out, MethodKind::Get, Era::Modern, message, "POST");
        }
        let label = Label::new(MethodKind::Get, Era::Legacy);
        match self.open_stream(head, at) {
            Ok(feed) => Outcome::Feed(feed),
            Err(refusal) => Outcome::Answer(refusal.answer(out, None, None, label)),
        }
    }

    fn open_stream(&self, head: &RequestHead<'_>, at: &At<'_>) -> Result<Feed, Refusal> {
        if !head.accept.is_some_and(headers::accepts_events) {
            return Err(Refusal::new(ErrorKind::NotAcceptable, "Accept must list text/event-stream"));
        }
        let session = InUse(self.session(head, at)?);
        self.shared.sessions.initialized(&session.0, at.now);
        match head.last_event_id.filter(|id| !id.is_empty()) {
            Some(id) => self.resume_stream(id, session),
            None => self.own_stream(session),
        }
    }

    fn own_stream(&self, session: InUse) -> Result<Feed, Refusal> {
        let place = self.place()?;
        let streams = &session.0.streams;
        let registration = streams.inbox(&self.shared.hub, self.advertised()).map_err(unreadable)?;
        let reader = streams.read_own(&self.shared.replay).map_err(unreadable)?;
        let retry_ms = self.retry_ms(&session.0);
        Ok(Feed::of_own(reader, retry_ms, registration, session, place))
    }

    fn resume_stream(&self, id: &[u8], session: InUse) -> Result<Feed, Refusal> {
        let id = EventId::parse(id).ok_or_else(|| unreadable(Unreadable::Forgotten))?;
        let place = self.place()?;
        let streams = &session.0.streams;
        let (reader, is_own) = streams.resume(id).map_err(unreadable)?;
        if !is_own {
            return Ok(Feed::of_call(reader, None, session, Some(place)));
        }
        let registration = streams.inbox(&self.shared.hub, self.advertised()).map_err(unreadable)?;
        Ok(Feed::of_own(reader, None, registration, session, place))
    }

    pub(crate) fn advertised(&self) -> crate::mcp::listen::inbox::Wanted {
        Advertised::of(self.snapshot().catalog()).lists
    }

    fn retry_ms(&self, session: &Arc<Session>) -> Option<u64> {
        session.revision.primes_streams().then_some(self.shared.replay.retry_ms)
    }

    /// How many event streams are open: those of GET and of `subscriptions/listen`.
    pub fn event_streams(&self) -> usize {
        self.shared.places.taken()
    }

    /// Bytes of events that are kept for resumption.
    pub fn replay_bytes(&self) -> u64 {
        self.shared.replay.bytes()
    }

    /// Events that were dropped for `max_session_streams`, `max_session_replay_bytes` or `max_replay_bytes`.
    pub fn dropped_events(&self) -> u64 {
        self.shared.replay.dropped()
    }
}

fn unreadable(why: Unreadable) -> Refusal {
    match why {
        Unreadable::Taken => {
            let message =
                "The session's event stream is open already; close it first, or resume it with Last-Event-ID";
            Refusal::new(ErrorKind::StreamTaken, message)
        }
        Unreadable::Forgotten => {
            let message = "Last-Event-ID names no event of this session's streams that can be resumed from: the \
                           stream is not known, or was forgotten; the session itself lives";
            Refusal::new(ErrorKind::InvalidEventId, message)
        }
        Unreadable::Ended => {
            Refusal::new(ErrorKind::SessionNotFound, "The session has ended; open a new one")
        }
    }
}
