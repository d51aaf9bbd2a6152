//! `subscriptions/listen` of 2026-07-28: one stream for each subscription.

use std::rc::Rc;

use futures_lite::future;
use serde_json::json;

use super::abandon::Abandon;
use super::crowd::{Crowd, Patience};
use super::link::{Ask, Link, Session};
use super::listen::{ListenFilter, Subscription};
use super::queue::Waiting;
use crate::client::error::ClientError;
use crate::client::handlers::{Change, Told, read};
use crate::client::protocol::answer::{Failure, Head, of_outcome, of_status, read_body};
use crate::client::protocol::message::Message;
use crate::client::protocol::stream::Follow;
use crate::client::retry;
use crate::client::transport::{EventSource, IncomingContent, TransportError};
use crate::runtime::sleep;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// A stream that the server acknowledged.
struct Open {
    id: u64,
    source: Box<dyn EventSource>,
    follow: Follow,
    granted: ListenFilter,
    /// Where no stream of its own ends with it, the server is told.
    abandon: Option<Abandon>,
}

impl Open {
    /// The server has ended it, or cannot be told.
    fn is_over(&mut self) {
        self.abandon.take().into_iter().for_each(Abandon::disarm);
    }
}

/// What came on a stream.
enum Came {
    Acknowledged(ListenFilter),
    Change(Change),
    /// The server ended it in order.
    End,
}

impl Link {
    pub(super) async fn listen_modern(
        self: &Rc<Self>,
        filter: ListenFilter,
    ) -> Result<Subscription, ClientError> {
        let open = self.open(&filter).await.map_err(|failure| failure.error)?;
        let most = self.options.limits.max_waiting_changes;
        let waiting = Rc::new(Waiting::new(open.granted.clone(), most));
        let subscription = Subscription::new(self, Rc::clone(&waiting), open.granted.clone(), true);
        let link = Rc::clone(self);
        let end = waiting.end_with();
        self.spawn("client-listen", async move {
            let _end = end;
            let ended = async {
                let left = waiting.left.stopped();
                future::or(left, link.closed.stopped()).await;
                Ok(())
            };
            let how = future::or(ended, link.pump(&filter, open, &waiting)).await;
            waiting.end(how);
        })?;
        Ok(subscription)
    }

    /// Opens a stream and waits for the acknowledgment.
    async fn open(self: &Rc<Self>, filter: &ListenFilter) -> Result<Open, Failure> {
        let session = self.session();
        let ask = Ask::new("subscriptions/listen", json!({ "notifications": filter.to_value() }));
        let id = self.fresh_id();
        let mut patience = Patience::new(self.options.request_timeout, self.options.request_timeout);
        let outgoing = self.compose(&session, id, &ask, &ask.params, patience.left());
        let late = |_| {
            let (method, after) = (ask.method.clone(), self.options.request_timeout);
            Failure::last(ClientError::Timeout { method, after })
        };
        let mut crowd = Crowd::new(&self.answering);
        let abandon = Abandon::of_subscription(self, &session, id);
        let exchange = self.transport.exchange(outgoing);
        let incoming = crowd.beside(&mut patience, exchange).await.map_err(late)?;
        let incoming = incoming.map_err(|error| Failure::of_transport(self.transport.target(), error))?;
        let head = Head { status: incoming.status, retry_after: incoming.retry_after, ..Head::default() };
        let mut source = match incoming.content {
            IncomingContent::Events(source) if (200..300).contains(&head.status) => source,
            IncomingContent::Body { content_type, bytes } => {
                let found = read_body(&head, content_type.as_deref(), &bytes, id, &self.options.limits);
                let why = "it is no stream of events";
                let no_stream = |_| Failure::last(ClientError::malformed("subscriptions/listen", why));
                abandon.disarm();
                return Err(found.response.map_or_else(|failure| failure, no_stream));
            }
            _ => return Err(of_status(&head, b"")),
        };
        let mut follow = Follow::standing();
        loop {
            let next = crowd.beside(&mut patience, source.next()).await.map_err(late)?;
            let came = self.came(next, id, &mut follow, &session, filter)?;
            let malformed = |why| Err(Failure::last(ClientError::malformed("subscriptions/listen", why)));
            match came.into_iter().next() {
                Some(Came::Acknowledged(granted)) => {
                    return Ok(Open { id, source, follow, granted, abandon: Some(abandon) });
                }
                Some(Came::Change(_)) => return malformed("a change came before the acknowledgment"),
                Some(Came::End) => {
                    abandon.disarm();
                    return malformed("it ended before it was acknowledged");
                }
                None => {}
            }
        }
    }

    /// What one event of the stream says.
    fn came(
        &self,
        next: Option<Result<crate::client::transport::Event, TransportError>>,
        id: u64,
        follow: &mut Follow,
        session: &Session,
        filter: &ListenFilter,
    ) -> Result<Vec<Came>, Failure> {
        let broken = || TransportError::Closed { before_answer: false };
        let event = next.unwrap_or_else(|| Err(broken()));
        let event = event.map_err(|error| Failure::of_transport(self.transport.target(), error))?;
        let messages = follow.event(event, &self.options.limits).map_err(Failure::last)?;
        let mut all = Vec::new();
        for message in messages {
            match message {
                Message::Response { id: Some(given), outcome } if given == id => {
                    of_outcome(&Head { status: 200, ..Head::default() }, outcome)?;
                    all.push(Came::End);
                }
                // On a bare stream a server may end a subscription so.
                Message::Notification { method, params }
                    if method == "notifications/cancelled" && params["requestId"] == id =>
                {
                    all.push(Came::End);
                }
                Message::Notification { method, params } if params["_meta"][SUBSCRIPTION_ID] == id => {
                    if method == ACKNOWLEDGED {
                        all.push(Came::Acknowledged(filter.granted(&params["notifications"])));
                    } else if let Told::Change(change) = read(&method, &params) {
                        all.push(Came::Change(change));
                    }
                }
                Message::Request { method, .. } | Message::Notification { method, .. } => {
                    tracing::warn!(method, revision = %session.revision, "not a message of this subscription")
                }
                Message::Response { id, .. } => {
                    tracing::warn!(?id, "a response that this subscription does not wait for")
                }
            }
        }
        Ok(all)
    }

    /// Passes changes on until the server ends the stream in order; opens it again when it breaks.
    async fn pump(
        self: &Rc<Self>,
        filter: &ListenFilter,
        mut open: Open,
        waiting: &Waiting,
    ) -> Result<(), ClientError> {
        let session = self.session();
        loop {
            let next = open.source.next().await;
            match self.came(next, open.id, &mut open.follow, &session, filter) {
                Ok(came) => {
                    for came in came {
                        match came {
                            Came::Change(change) => self.hear(waiting, change),
                            Came::End => {
                                open.is_over();
                                return Ok(());
                            }
                            Came::Acknowledged(_) => {}
                        }
                    }
                }
                Err(failure) if failure.may_repeat(true) => {
                    open.is_over();
                    open = self.open_again(filter, open.follow, failure).await?;
                    self.hear(waiting, Change::Reconnected);
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    fn hear(&self, waiting: &Waiting, change: Change) {
        let asked_for = waiting.admits(&change);
        waiting.push(change.clone());
        self.options.handlers.change.iter().filter(|_| asked_for).for_each(|handler| handler(change.clone()));
    }

    async fn open_again(
        self: &Rc<Self>,
        filter: &ListenFilter,
        mut follow: Follow,
        mut failure: Failure,
    ) -> Result<Open, ClientError> {
        loop {
            let Some(resume) = follow.broken(&self.options.limits, retry::random()) else {
                return Err(failure.error);
            };
            sleep(resume.after.max(failure.retry_after.unwrap_or_default())).await;
            match self.open(filter).await {
                Ok(open) => return Ok(open),
                Err(again) if again.may_repeat(true) => failure = again,
                Err(last) => return Err(last.error),
            }
        }
    }
}
