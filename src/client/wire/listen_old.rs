//! Changes in the revisions before 2026-07-28: one stream opened with GET, for all who listen.

use std::rc::Rc;

use futures_lite::future;
use serde_json::{Value, json};

use super::crowd::{Crowd, Patience};
use super::link::{Ask, Link, Session};
use super::listen::{ListenFilter, Subscription};
use super::queue::Waiting;
use crate::client::error::ClientError;
use crate::client::handlers::Change;
use crate::client::limits::exceeded;
use crate::client::protocol::answer::{Failure, Head, Ran, of_status};
use crate::client::protocol::message::Message;
use crate::client::protocol::stream::Follow;
use crate::client::retry;
use crate::client::transport::{EventSource, IncomingContent, Outgoing, TransportError, Verb};
use crate::runtime::{StopFlag, sleep};

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

    /// Makes sure that the stream stands; false where the server has none.
    async fn stand(self: &Rc<Self>) -> Result<bool, ClientError> {
        let session = self.session();
        let opened = self.stand_in(&session).await;
        match opened {
            Err(failure) if failure.ran == Ran::NoSession => {
                self.renew(&session, &failure).await?;
                self.stand_in(&self.session()).await.map_err(|failure| failure.error)
            }
            opened => opened.map_err(|failure| failure.error),
        }
    }

    async fn stand_in(self: &Rc<Self>, session: &Rc<Session>) -> Result<bool, Failure> {
        let _alone = self.gate.enter().await;
        if self.standing.borrow().is_some() {
            return Ok(true);
        }
        let Some(source) = self.get_stream(session, None).await? else { return Ok(false) };
        let stop = StopFlag::new();
        self.standing.replace(Some(stop.clone()));
        let link = Rc::clone(self);
        let session = Rc::clone(session);
        let pump = async move {
            let ended = async {
                future::or(stop.stopped(), link.closed.stopped()).await;
                Ok(())
            };
            let how = future::or(ended, link.pump_old(session, source)).await;
            link.fallen(&stop, how);
        };
        self.spawn("client-listen", pump).map_err(Failure::last)?;
        Ok(true)
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
        let incoming = self.transport.exchange(outgoing).await;
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

    /// Reads the stream, answers what the server asks there, and opens it again when it breaks.
    async fn pump_old(
        self: &Rc<Self>,
        mut session: Rc<Session>,
        mut source: Box<dyn EventSource>,
    ) -> Result<(), ClientError> {
        let mut follow = Follow::standing();
        loop {
            let broken = self.read_old(&session, source, &mut follow).await?;
            (session, source) = match self.stand_again(&session, &mut follow, broken).await? {
                Some(opened) => opened,
                None => return Ok(()),
            };
            if !follow.is_resumable() {
                self.changed(Change::Reconnected);
            }
        }
    }

    /// Reads one stream to its end.
    async fn read_old(
        self: &Rc<Self>,
        session: &Rc<Session>,
        mut source: Box<dyn EventSource>,
        follow: &mut Follow,
    ) -> Result<Failure, ClientError> {
        let mut crowd = Crowd::default();
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

    /// Opens the stream again, in a new session where the old one is lost.
    async fn stand_again(
        self: &Rc<Self>,
        session: &Rc<Session>,
        follow: &mut Follow,
        mut failure: Failure,
    ) -> Result<Option<(Rc<Session>, Box<dyn EventSource>)>, ClientError> {
        let mut session = Rc::clone(session);
        loop {
            if !(failure.may_repeat(true) || failure.ran == Ran::NoSession || failure.status >= Some(500)) {
                return Err(failure.error);
            }
            let Some(resume) = follow.broken(&self.options.limits, retry::random()) else {
                return Err(failure.error);
            };
            sleep(resume.after.max(failure.retry_after.unwrap_or_default())).await;
            if failure.ran == Ran::NoSession {
                self.renew(&session, &failure).await?;
                follow.forget();
            }
            session = self.session();
            let last_event_id = resume.last_event_id.filter(|_| follow.is_resumable());
            match self.get_stream(&session, last_event_id).await {
                Ok(source) => return Ok(source.map(|source| (session, source))),
                Err(again) => failure = again,
            }
        }
    }

    /// The stream stands no more.
    fn fallen(&self, stop: &StopFlag, how: Result<(), ClientError>) {
        let mut standing = self.standing.borrow_mut();
        // One that was stopped may already have a successor, whose listeners are none of its business.
        if stop.is_stopped() {
            return;
        }
        standing.take();
        let listeners: Vec<_> = self.listeners.borrow().iter().filter_map(std::rc::Weak::upgrade).collect();
        listeners.iter().for_each(|waiting| waiting.end(how.clone()));
    }

    /// Nobody listens here any more; the stream ends with its last listener.
    pub(super) fn forget_listener(&self, gone: &Rc<Waiting>) {
        let mut listeners = self.listeners.borrow_mut();
        listeners.retain(|known| known.upgrade().is_some_and(|known| !Rc::ptr_eq(&known, gone)));
        if listeners.is_empty() {
            self.standing.borrow_mut().take().iter().for_each(StopFlag::stop);
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
            let wanted =
                |known: &std::rc::Weak<Waiting>| known.upgrade().is_some_and(|known| known.admits(&change));
            let others = self.listeners.borrow().iter().any(wanted);
            if !others && self.watched.borrow_mut().remove(uri) {
                let params: Value = json!({ "uri": uri });
                self.request(Ask::new("resources/unsubscribe", params)).await?;
            }
        }
        Ok(())
    }
}
