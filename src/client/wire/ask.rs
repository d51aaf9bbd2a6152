//! One request: its rounds, its repetitions, and a single attempt.

use std::rc::Rc;
use std::time::Instant;

use futures_lite::future;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::abandon::Abandon;
use super::crowd::{Crowd, Patience, TimedOut};
use super::link::{Ask, Link, Session};
use crate::client::error::ClientError;
use crate::client::limits::exceeded;
use crate::client::protocol::answer::{Failure, Head, Ran, of_status, read_body};
use crate::client::protocol::rounds::{self, Needed};
use crate::client::retry;
use crate::client::transport::{Incoming, IncomingContent};
use crate::runtime::sleep;

/// A request on its way, for whoever reads what comes back.
pub(super) struct Attempt<'a> {
    pub(super) session: &'a Rc<Session>,
    pub(super) ask: &'a Ask,
    pub(super) id: u64,
}

impl Link {
    /// Asks, answers what the server asks back, repeats what did not run, and returns the result.
    pub(crate) async fn request(self: &Rc<Self>, ask: Ask) -> Result<Box<RawValue>, ClientError> {
        if self.closed.is_stopped() {
            return Err(ClientError::Closed);
        }
        let closed = async {
            self.closed.stopped().await;
            Err(ClientError::Closed)
        };
        future::or(self.in_rounds(&ask), closed).await
    }

    async fn in_rounds(self: &Rc<Self>, ask: &Ask) -> Result<Box<RawValue>, ClientError> {
        let limits = &self.options.limits;
        let mut params = ask.params.clone();
        for round in 1.. {
            let result = self.until_run(ask, &params).await?;
            if !self.revision().is_modern() {
                return Ok(result);
            }
            let Some(needed) = rounds::needed(&ask.method, &result, limits)? else { return Ok(result) };
            if round >= limits.max_rounds {
                return Err(exceeded("max_rounds", limits.max_rounds));
            }
            let answers = self.answers(&needed, round).await?;
            params = needed.next_params(&ask.params, answers);
        }
        unreachable!("the rounds are bounded")
    }

    /// The handlers' answers to the questions of one round, one after the other.
    async fn answers(&self, needed: &Needed, round: usize) -> Result<Map<String, Value>, ClientError> {
        let mut answers = Map::new();
        let Some(questions) = &needed.questions else {
            // The server only wants to be asked again. It gets a pause that grows with its wishes.
            let pause = self.options.retries.base.saturating_mul(1 << (round - 1).min(6));
            sleep(pause.min(self.options.retries.max_delay)).await;
            return Ok(answers);
        };
        for (key, question) in questions {
            let answer = self.options.handlers.answer(&question.method, question.params.clone()).await;
            let answer = answer.map_err(|error| ClientError::Question {
                method: question.method.clone(),
                why: error.message,
            })?;
            answers.insert(key.clone(), answer);
        }
        Ok(answers)
    }

    /// Attempts until one was answered, where attempts may be repeated.
    async fn until_run(
        self: &Rc<Self>,
        ask: &Ask,
        params: &Map<String, Value>,
    ) -> Result<Box<RawValue>, ClientError> {
        let mut renewed = false;
        loop {
            let session = self.session();
            let failure = match self.repeated(&session, ask, params).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            match failure.ran {
                // The server knew no such session, so nothing ran: once more in a new one, and no further.
                Ran::NoSession if !renewed => self.renew(&session, &failure).await?,
                Ran::NoSession => return Err(ClientError::SessionLost { why: failure.error.to_string() }),
                _ => return Err(failure.error),
            }
            renewed = true;
        }
    }

    /// Attempts in one session, with pauses between them.
    pub(super) async fn repeated(
        self: &Rc<Self>,
        session: &Rc<Session>,
        ask: &Ask,
        params: &Map<String, Value>,
    ) -> Result<Box<RawValue>, Failure> {
        let began = Instant::now();
        for retries in 0.. {
            let failure = match self.once(session, ask, params).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            let delay =
                self.options.retries.delay(retries, began.elapsed(), failure.retry_after, retry::random());
            let Some(delay) = delay.filter(|_| failure.may_repeat(ask.safe)) else { return Err(failure) };
            tracing::debug!(method = ask.method, retries, ?delay, error = %failure.error, "asking again");
            sleep(delay).await;
        }
        unreachable!("the retries are bounded")
    }

    /// One attempt, with an id of its own.
    async fn once(
        self: &Rc<Self>,
        session: &Rc<Session>,
        ask: &Ask,
        params: &Map<String, Value>,
    ) -> Result<Box<RawValue>, Failure> {
        let attempt = Attempt { session, ask, id: self.fresh_id() };
        let longest = ask.options.max_timeout.unwrap_or(self.options.max_request_timeout);
        let timeout = ask.options.timeout.unwrap_or(self.options.request_timeout);
        let mut patience = Patience::new(timeout, longest.max(timeout));
        // The transport must not give up while the wait begins anew; this side does when it ends.
        let outgoing = self.compose(session, attempt.id, ask, params, patience.longest_left());
        let abandon = Abandon::new(self, &attempt);
        let mut crowd = Crowd::new(&self.answering);
        self.see_off_all().await;
        let incoming = crowd.beside(&mut patience, self.transport.exchange(outgoing)).await;
        let outcome = match incoming {
            Err(late) => Err(attempt.timed_out(late)),
            Ok(Err(error)) => Err(self.of_transport(&attempt, &patience, error)),
            Ok(Ok(incoming)) => self.read(&attempt, incoming, &mut crowd, &mut patience).await,
        };
        if outcome
            .as_ref()
            .map_or_else(|failure| failure.status.is_some() || failure.ran == Ran::No, |_| true)
        {
            abandon.disarm();
        }
        outcome
    }

    async fn read<'a>(
        self: &'a Rc<Self>,
        attempt: &'a Attempt<'_>,
        incoming: Incoming,
        crowd: &mut Crowd<'a>,
        patience: &mut Patience,
    ) -> Result<Box<RawValue>, Failure> {
        let head = Head {
            status: incoming.status,
            retry_after: incoming.retry_after,
            www_authenticate: incoming.www_authenticate,
            in_session: attempt.session.id.is_some(),
        };
        let succeeded = (200..300).contains(&head.status);
        match incoming.content {
            IncomingContent::Events(source) if succeeded => {
                self.keep_session(attempt, incoming.session_id)?;
                self.follow(attempt, source, crowd, patience).await
            }
            IncomingContent::Body { content_type, bytes } => {
                let limits = &self.options.limits;
                let found = read_body(&head, content_type.as_deref(), &bytes, attempt.id, limits);
                for message in found.others {
                    self.take(attempt, message, crowd, patience);
                }
                let result = found.response?;
                self.keep_session(attempt, incoming.session_id)?;
                Ok(result)
            }
            _ if succeeded => {
                let why = format!("HTTP {} without a response", head.status);
                Err(Failure::last(ClientError::malformed(&*attempt.ask.method, why)))
            }
            _ => Err(of_status(&head, b"")),
        }
    }
}

impl Attempt<'_> {
    pub(super) fn timed_out(&self, late: TimedOut) -> Failure {
        Failure::last(ClientError::Timeout { method: self.ask.method.clone(), after: late.0 })
    }
}
