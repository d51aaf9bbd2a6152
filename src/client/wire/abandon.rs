//! Requests that nobody waits for any more.

use std::rc::Rc;

use serde_json::{Map, json};

use super::ask::Attempt;
use super::link::{Link, Session};
use crate::client::protocol::message;

/// Tells the server that a request is given up, unless it is over when this is dropped.
///
/// In 2026-07-28 over HTTP, closing the stream says it, which the transport does. An older server, and any server at
/// the end of a bare stream, is sent `notifications/cancelled`.
pub(super) struct Abandon {
    link: Rc<Link>,
    session: Rc<Session>,
    id: u64,
    armed: bool,
}

impl Abandon {
    pub(super) fn new(link: &Rc<Link>, attempt: &Attempt<'_>) -> Self {
        let by_notice = !attempt.session.revision.is_modern() || !link.transport.has_headers();
        // The first request of a session must not be cancelled.
        let armed = by_notice && attempt.ask.method != "initialize";
        Abandon { link: Rc::clone(link), session: Rc::clone(attempt.session), id: attempt.id, armed }
    }

    /// For a subscription of 2026-07-28.
    pub(super) fn of_subscription(link: &Rc<Link>, session: &Rc<Session>, id: u64) -> Self {
        let armed = !link.transport.has_headers();
        Abandon { link: Rc::clone(link), session: Rc::clone(session), id, armed }
    }

    /// The request was answered, or never reached the server.
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let link = &self.link;
        let room = link.cancels.get() < link.options.limits.max_pending_cancels;
        if !self.armed || link.closed.is_stopped() || link.scope.is_cancelled() {
            return;
        }
        if !room {
            tracing::debug!(
                id = self.id,
                "too many notices of cancellation are on their way (max_pending_cancels)"
            );
            return;
        }
        let params = Map::from_iter([("requestId".to_owned(), json!(self.id))]);
        let outgoing = link.notice(&self.session, message::notification("notifications/cancelled", &params));
        let pending = Pending::new(link);
        let task = async move {
            let told = pending.0.exchange(outgoing).await;
            tracing::trace!(?told, "a request was given up");
        };
        // A scope that takes no more tasks is ending, and the connections with it.
        let _ = link.spawn("client-cancel", task);
    }
}

/// A notice on its way.
struct Pending(Rc<Link>);

impl Pending {
    fn new(link: &Rc<Link>) -> Self {
        link.cancels.set(link.cancels.get() + 1);
        Pending(Rc::clone(link))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.cancels.set(self.0.cancels.get() - 1);
    }
}
