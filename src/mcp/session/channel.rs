//! One client of the HTTP+SSE transport (2024-11-05): a stream for everything that the server says, opened before there
//! is a session, and ended together with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::mcp::listen::hub::Registration;
use crate::mcp::session::entry::{Session, SessionId};
use crate::mcp::session::log::StreamLog;
use crate::mcp::session::reader::LogReader;
use crate::mcp::session::replay::Replay;

pub(crate) struct Channel {
    /// Names the channel in the address that the client posts to. Who knows it can speak for the client.
    pub(crate) id: SessionId,
    principal: Box<str>,
    pub(crate) log: Arc<StreamLog>,
    pub(crate) registration: Arc<Registration>,
    /// Entered from `initialize` on, for as long as the stream is open.
    session: OnceLock<Arc<Session>>,
    /// Set at the end of the stream; from then on no session begins, as nobody would end it.
    closed: Mutex<bool>,
    /// Calls whose answers are still to come.
    calls: AtomicUsize,
}

/// The open channels. Each has a place among the event streams, which bounds them.
#[derive(Default)]
pub(crate) struct Channels {
    open: Mutex<HashMap<u128, Arc<Channel>>>,
}

impl Channel {
    /// A channel and the one reader of its stream.
    pub(crate) fn new(
        id: SessionId,
        principal: &str,
        registration: Registration,
        replay: &Arc<Replay>,
    ) -> Option<(Arc<Channel>, LogReader)> {
        let log = StreamLog::new(replay, &Arc::default(), 0, 0);
        let reader = log.attach(Some(0))?;
        // Nobody can come back to it.
        log.forget();
        let channel = Channel {
            id,
            principal: principal.into(),
            log,
            registration: Arc::new(registration),
            session: OnceLock::new(),
            closed: Mutex::new(false),
            calls: AtomicUsize::new(0),
        };
        Some((Arc::new(channel), reader))
    }

    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.session.get()
    }

    /// Gives the channel its session, which the caller has entered; false when it has one, or its stream has ended.
    pub(crate) fn begin(&self, session: Arc<Session>) -> bool {
        let closed = crate::mcp::lock(&self.closed);
        if *closed {
            return false;
        }
        session.streams.adopt(self.registration.clone());
        self.session.set(session).is_ok()
    }

    /// Notes the end of the stream; the session to leave and end, if there is one.
    pub(crate) fn close(&self) -> Option<&Arc<Session>> {
        *crate::mcp::lock(&self.closed) = true;
        self.session()
    }

    pub(crate) fn note_call(&self) {
        self.calls.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes the end of a call, before its answer is written.
    pub(crate) fn end_call(&self) {
        self.calls.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Acquire) > 0
    }
}

impl Channels {
    pub(crate) fn insert(&self, channel: Arc<Channel>) {
        crate::mcp::lock(&self.open).insert(channel.id.bits(), channel);
    }

    /// The open channel of that id, if it belongs to the principal.
    pub(crate) fn find(&self, id: SessionId, principal: &str) -> Option<Arc<Channel>> {
        let channel = crate::mcp::lock(&self.open).get(&id.bits()).cloned()?;
        (*channel.principal == *principal).then_some(channel)
    }

    pub(crate) fn remove(&self, id: SessionId) {
        crate::mcp::lock(&self.open).remove(&id.bits());
    }
}
