//! Reading the stream of a request until its response came, and opening it again where it broke.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;
use serde_json::value::RawValue;

use super::ask::Attempt;
use super::crowd::{Crowd, Patience};
use super::link::Link;
use crate::client::error::ClientError;
use crate::client::protocol::answer::{Failure, Head, Ran, of_outcome, of_status};
use crate::client::protocol::message::Message;
use crate::client::protocol::stream::Follow;
use crate::client::retry;
use crate::client::transport::{EventSource, IncomingContent, Outgoing, TransportError, Verb};
use crate::runtime::sleep;

/// Streams that are kept although their response has come, because they have not ended.
const MAX_ENDING: usize = 4;

impl Link {
    /// Reads a request's stream to the response.
    pub(super) async fn follow<'a>(
        self: &'a Rc<Self>,
        attempt: &'a Attempt<'_>,
        mut source: Box<dyn EventSource>,
        crowd: &mut Crowd<'a>,
        patience: &mut Patience,
    ) -> Result<Box<RawValue>, Failure> {
        let mut follow = Follow::of_call();
        loop {
            let next = crowd.beside(patience, source.next()).await.map_err(|late| attempt.timed_out(late))?;
            let event = match next {
                Some(Ok(event)) => event,
                None | Some(Err(TransportError::Closed { .. } | TransportError::Timeout { .. })) => {
                    drop(source);
                    source = self.resume(attempt, &mut follow, crowd, patience).await?;
                    continue;
                }
                Some(Err(error)) => return Err(Failure::of_transport(self.transport.target(), error)),
            };
            for message in follow.event(event, &self.options.limits).map_err(Failure::last)? {
                if let Some(result) = self.take(attempt, message, crowd, patience) {
                    self.see_off(source).await;
                    return result;
                }
            }
        }
    }

    /// Lets a stream whose response has come end in order, so that its connection can be used again. One that has not
    /// ended yet gets another chance before the next request, and is then closed.
    async fn see_off(&self, mut source: Box<dyn EventSource>) {
        if future::poll_once(source.next()).await.is_some() {
            return;
        }
        let mut ending = self.ending.borrow_mut();
        if ending.len() >= MAX_ENDING {
            ending.remove(0);
        }
        ending.push(source);
    }

    /// Gives streams whose response has come their chance.
    pub(super) async fn see_off_all(&self) {
        let ending = self.ending.take();
        for mut source in ending {
            future::poll_once(source.next()).await;
        }
    }

    /// Takes a message that came with the answer to a request; returns the response when it is one.
    pub(super) fn take<'a>(
        self: &'a Rc<Self>,
        attempt: &'a Attempt<'_>,
        message: Message,
        crowd: &mut Crowd<'a>,
        patience: &mut Patience,
    ) -> Option<Result<Box<RawValue>, Failure>> {
        match message {
            Message::Response { id: Some(id), outcome } if id == attempt.id => {
                return Some(of_outcome(&Head { status: 200, ..Head::default() }, outcome));
            }
            Message::Response { id, .. } => {
                tracing::warn!(
                    ?id,
                    expected = attempt.id,
                    "the server answered a request that was not sent here"
                );
            }
            Message::Request { id, method, params } => self.serve(attempt.session, id, method, params, crowd),
            Message::Notification { method, params } => {
                if self.tell(Some(attempt), &method, &params, crowd) {
                    patience.restart();
                }
            }
        }
        None
    }

    /// Opens a broken stream again where the server said how: in the revisions with sessions, from the last event's id.
    async fn resume<'a>(
        self: &'a Rc<Self>,
        attempt: &Attempt<'_>,
        follow: &mut Follow,
        crowd: &mut Crowd<'a>,
        patience: &mut Patience,
    ) -> Result<Box<dyn EventSource>, Failure> {
        let broken = || {
            let target = self.transport.target();
            Failure::of_transport(target, TransportError::Closed { before_answer: false })
        };
        if attempt.session.revision.is_modern() || !self.transport.has_headers() || !follow.is_resumable() {
            return Err(broken());
        }
        let mut asked = Duration::ZERO;
        loop {
            let resume = follow.broken(&self.options.limits, retry::random()).ok_or_else(broken)?;
            let mut head = self.head(attempt.session);
            head.last_event_id = resume.last_event_id;
            crowd
                .beside(patience, sleep(resume.after.max(asked)))
                .await
                .map_err(|late| attempt.timed_out(late))?;
            let timeout = patience.left();
            let (body, idle_timeout) = (Vec::new(), None);
            let outgoing = Outgoing { verb: Verb::Get, body, head, timeout, idle_timeout, idempotent: true };
            let exchange = self.transport.exchange(outgoing);
            let answer = crowd.beside(patience, exchange).await.map_err(|late| attempt.timed_out(late))?;
            match answer {
                Ok(incoming) => match (incoming.status, incoming.content) {
                    (200..=299, IncomingContent::Events(source)) => return Ok(source),
                    (429 | 500.., _) => asked = incoming.retry_after.unwrap_or_default(),
                    (404, _) if attempt.session.id.is_some() => return Err(lost()),
                    (status, _) => {
                        let failure = of_status(&Head { status, ..Head::default() }, b"");
                        // The stream was refused; the request it belongs to has begun.
                        return Err(Failure { ran: Ran::Yes, ..failure });
                    }
                },
                Err(TransportError::Malformed(why)) => {
                    return Err(Failure::of_transport(
                        self.transport.target(),
                        TransportError::Malformed(why),
                    ));
                }
                Err(error) => tracing::debug!(%error, "a stream could not be opened again yet"),
            }
        }
    }
}

/// The session ended while its request ran: nobody knows how far that came, so it is not repeated.
fn lost() -> Failure {
    let why = "it ended while a request was running; whether the request took effect is not known".to_owned();
    Failure { ran: Ran::Yes, ..Failure::last(ClientError::SessionLost { why }) }
}
