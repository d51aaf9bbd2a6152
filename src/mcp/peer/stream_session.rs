//! The session of a stream (the revisions before 2026-07-28): it ends with the stream.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::mcp::listen::hub::Registration;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::At;
use crate::mcp::serve::dispatcher::Dispatcher;
use crate::mcp::serve::snapshot::Shared;
use crate::mcp::session::entry::{InUse, SessionId};

/// A session that is in use for as long as its stream is open.
pub(super) struct StreamSession {
    /// Taken at the end alone.
    session: Option<InUse>,
    shared: Arc<Shared>,
    /// What the peer is told of, from its first message after `initialize` on.
    registration: Option<Arc<Registration>>,
}

impl StreamSession {
    /// Uses the session that was just opened; `None` where it had to make room for another one already.
    pub(super) fn enter(dispatcher: &Dispatcher, id: SessionId, at: &At<'_>) -> Option<StreamSession> {
        let shared = dispatcher.shared.clone();
        let session = shared.sessions.enter(id, at.principal, at.now)?;
        Some(StreamSession { session: Some(InUse(session)), shared, registration: None })
    }

    pub(super) fn get(&self) -> &InUse {
        self.session.as_ref().expect("invariant: taken at the end alone")
    }

    /// Notes that the peer goes on after `initialize`, so that it may be told of changes.
    pub(super) fn listen(&mut self, dispatcher: &Dispatcher) {
        if self.registration.is_none() {
            let inbox = self.get().0.streams.inbox(&self.shared.hub, dispatcher.advertised());
            // A session that has ended is told of nothing.
            self.registration = inbox.ok();
        }
    }

    /// Appends the next notification about a change; the task is woken when there is one.
    pub(super) fn poll_notice(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        let Some(registration) = &self.registration else { return Poll::Pending };
        registration.inbox.poll_take(0, cx).map(|notice| notice.write(out, None))
    }
}

impl Drop for StreamSession {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let id = session.0.id;
            drop(session);
            self.shared.sessions.delete(id);
        }
    }
}

/// What is answered where a session was opened and is gone already.
pub(super) const NO_ROOM: ErrorKind = ErrorKind::SessionsFull;
