//! Changes in the revisions before 2026-07-28: one stream opened with GET, for all who listen.

use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_lite::future;
use serde_json::{Value, json};

use super::crowd::{Crowd, Patience};
use super::link::{Ask, Link, Session};
use super::listen::{ListenFilter, Subscription};
use super::queue::Waiting;
use super::standing::Standing;
use crate::client::error::ClientError;
use crate::client::handlers::Change;
use crate::client::limits::exceeded;
use crate::client::protocol::answer::{Failure, Head, Ran, of_status};
use crate::client::protocol::message::Message;
use crate::client::protocol::stream::Follow;
use crate::client::retry;
use crate::client::transport::{EventSource, IncomingContent, Outgoing, TransportError, Verb};
use crate::runtime::sleep;

/// How long connecting waits for the stream.
const PRESENCE_TIME: Duration = Duration::from_secs(1);

impl Link {
    pub(super) async fn listen_old(
        self: &Rc<Self>,
        filter: ListenFilter,
    ) -> Result<Subscription, ClientError> {
        let offers = |what: &str| self.server.get().is_some_and(|server| server.offers(what));
        let granted = ListenFilter {
            tools: filter.tools && offers("tools.listChanged"),
            prompts: filter.prompts && offers("prompts.listChanged"),
            resources: filter.resources && offers("resources.listChanged"),
            uris: if offers("resources.subscribe") { filter.uris } else { Vec::new() },
        };
        let waiting = Rc::new(Waiting::new(granted.clone(), self.options.limits.max_waiting_changes));
        self.listeners.borrow_mut().push(Rc::downgrade(&waiting));
        // From here on, dropping the subscription takes everything back.
        let mut subscription = Subscription::new(self, waiting, granted.clone(), true);
        let is_live = self.stand().await?;
        self.watch(&granted.uris).await?;
        subscription.set_live(is_live);
        Ok(subscription)
    }

    /// Keeps the stream open for what the server asks and tells on its own, while the returned handle lives.
    ///
    /// It waits a moment for the stream: some servers forget what they have to say before it stands.
    pub(crate) async fn be_present(self: &Rc<Self>) -> Result<Option<Subscription>, ClientError> {
        let session = self.session();
        if session.revision.is_modern() || !self.options.handlers.want_stream() {
            return Ok(None);
        }
        let waiting = Rc::new(Waiting::new(ListenFilter::default(), 1));
        self.listeners.borrow_mut().push(Rc::downgrade(&waiting));
        let present = Subscription::new(self, waiting, ListenFilter::default(), true);
        let late = async {
            sleep(PRESENCE_TIME).await;
            Ok(true)
        };
        if let Err(error) = future::or(self.stand(), late).await {
            tracing::debug!(%error, "no stream for what the server says on its own");
        }
        Ok(Some(present))
    }

    /// Makes sure that the stream stands; false where the server has none.
    async fn stand(self: &Rc<Self>) -> Result<bool, ClientError> {
        let known = self.standing.borrow().clone();
        let standing = match known {
            Some(standing) => standing,
            None => {
                let standing = Rc::new(Standing::default());
                self.standing.replace(Some(Rc::clone(&standing)));
                let fall = Fall {
                    link: Rc::clone(self),
                    standing: Rc::clone(&standing),
                    how: Err(ClientError::Closed),
                };
                self.spawn("client-listen", Rc::clone(self).keep_standing(fall))?;
                standing
            }
        };
        standing.opened().await
    }

    async fn keep_standing(self: Rc<Self>, mut fall: Fall) {
        let standing = Rc::clone(&fall.standing);
        let ended = async {
            future::or(standing.stop.stopped(), self.closed.stopped()).await;
            Ok(())
        };
        fall.how = future::or(ended, self.pump_old(&standing)).await;
    }

    /// Opens the stream; `None` where the server has none, or gives it to somebody else.
    async fn get_stream(
        &self,
        session: &Session,
        last_event_id: Option<String>,
    ) -> Result<Option<Box<dyn EventSource>>, Failure> {
        let mut head = self.head(session);
        head.last_event_id = last_event_id;
        let (timeout, idle_timeout) = (self.options.request_timeout, None);
        let outgoing =
            Outgoing { verb: Verb::Get, body: Vec::new(), head, timeout, idle_timeout, idempotent: true };
        let incoming = self.exchange(outgoing).await;
        let incoming = incoming.map_err(|error| Failure::of_transport(self.transport.target(), error))?;
        let in_session = session.id.is_some();
        let head = Head {
            status: incoming.status,
            retry_after: incoming.retry_after,
            in_session,
            ..Head::default()
        };
        match (incoming.status, incoming.content) {
            (200..=299, IncomingContent::Events(source)) => Ok(Some(source)),
            (404, _) if in_session => Err(of_status(&head, b"")),
            (500.., _) => Err(of_status(&head, b"")),
            (status, _) => {
                tracing::debug!(status, "the server has no stream for changes");
                Ok(None)
            }
        }
    }

    /// Opens the stream, reads it, answers what the server asks there, and opens it again when it breaks.
    async fn pump_old(self: &Rc<Self>, standing: &Standing) -> Result<(), ClientError> {
        let mut follow = Follow::standing();
        let mut session = self.session();
        let mut opened = self.get_stream(&session, None).await;
        loop {
            let failure = match opened {
                Ok(Some(source)) => {
                    if standing.settle(Ok(true)) && !follow.is_resumable() {
                        self.changed(Change::Reconnected);
                    }
                    self.read_old(&session, source, &mut follow).await?
                }
                Ok(None) => return Ok(()),
                Err(failure) => failure,
            };
            let wait = standing.is_settled();
            session = self.before_again(&session, &mut follow, failure, wait).await?;
            opened = self.get_stream(&session, follow.last_event_id()).await;
        }
    }

    /// Reads one stream to its end.
    async fn read_old(
        self: &Rc<Self>,
        session: &Rc<Session>,
        mut source: Box<dyn EventSource>,
        follow: &mut Follow,
    ) -> Result<Failure, ClientError> {
        let mut crowd = Crowd::new(&self.answering);
        let broken = |error| Failure::of_transport(self.transport.target(), error);
        loop {
            let mut patience = Patience::endless();
            let next = crowd.beside(&mut patience, source.next()).await.unwrap_or(None);
            let event = match next {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Ok(broken(error)),
                None => return Ok(broken(TransportError::Closed { before_answer: false })),
            };
            for message in follow.event(event, &self.options.limits)? {
                match message {
                    Message::Request { id, method, params } => {
                        self.serve(session, id, method, params, &mut crowd)
                    }
                    Message::Notification { method, params } => {
                        self.tell(None, &method, &params, &mut crowd);
                    }
                    Message::Response { id, .. } => {
                        tracing::warn!(?id, "a response on the stream of changes")
                    }
                }
            }
        }
    }

    /// Waits as long as the stream should stay closed; returns the session to open it in, a new one where it is lost.
    async fn before_again(
        self: &Rc<Self>,
        session: &Rc<Session>,
        follow: &mut Follow,
        failure: Failure,
        was_open: bool,
    ) -> Result<Rc<Session>, ClientError> {
        let lost = failure.ran == Ran::NoSession;
        let passing = failure.may_repeat(true) || failure.status >= Some(500);
        if !(lost || passing && was_open) {
            return Err(failure.error);
        }
        let resume = follow.broken(&self.options.limits, retry::random());
        let Some(resume) = resume else { return Err(failure.error) };
        sleep(resume.after.max(failure.retry_after.unwrap_or_default())).await;
        if lost {
            self.renew(session, &failure).await?;
            follow.forget();
        }
        Ok(self.session())
    }

    /// Nobody listens here any more; the stream ends with its last listener.
    pub(super) fn forget_listener(&self, gone: &Rc<Waiting>) {
        let mut listeners = self.listeners.borrow_mut();
        listeners.retain(|known| known.upgrade().is_some_and(|known| !Rc::ptr_eq(&known, gone)));
        if listeners.is_empty() {
            self.standing.borrow_mut().take().iter().for_each(|standing| standing.stop.stop());
        }
    }

    /// Asks an older server to watch resources.
    pub(crate) async fn watch(self: &Rc<Self>, uris: &[String]) -> Result<(), ClientError> {
        let most = self.options.limits.max_subscribed_resources;
        for uri in uris {
            if self.watched.borrow().len() >= most && !self.watched.borrow().contains(uri) {
                return Err(exceeded("max_subscribed_resources", most));
            }
            self.request(Ask::new("resources/subscribe", json!({ "uri": uri }))).await?;
            self.watched.borrow_mut().insert(uri.clone());
        }
        Ok(())
    }

    /// Ends the watch over resources that nobody else listens for.
    pub(crate) async fn unwatch(self: &Rc<Self>, uris: &[String]) -> Result<(), ClientError> {
        for uri in uris {
            let change = Change::Resource { uri: uri.clone() };
            let wanted = |known: &Weak<Waiting>| known.upgrade().is_some_and(|known| known.admits(&change));
            let others = self.listeners.borrow().iter().any(wanted);
            if !others && self.watched.borrow_mut().remove(uri) {
                let params: Value = json!({ "uri": uri });
                self.request(Ask::new("resources/unsubscribe", params)).await?;
            }
        }
        Ok(())
    }
}

/// The end of the stream: its listeners hear of it, also when the task that reads it is dropped with its scope.
struct Fall {
    link: Rc<Link>,
    standing: Rc<Standing>,
    how: Result<(), ClientError>,
}

impl Drop for Fall {
    fn drop(&mut self) {
        let Fall { link, standing, how } = self;
        let mut current = link.standing.borrow_mut();
        if current.as_ref().is_some_and(|current| Rc::ptr_eq(current, standing)) {
            current.take();
        }
        drop(current);
        let was_open = standing.settle(how.clone().map(|()| false));
        // One that was stopped may already have a successor, whose listeners are none of its business.
        if was_open && !standing.stop.is_stopped() {
            if let Err(error) = how {
                tracing::warn!(target = link.transport.target(), %error, "the server's stream broke for good");
            }
            let listeners: Vec<_> = link.listeners.borrow().iter().filter_map(Weak::upgrade).collect();
            listeners.iter().for_each(|waiting| waiting.end(how.clone()));
        }
    }
}
