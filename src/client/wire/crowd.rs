//! The server's questions that are being answered while a stream is read, and how long the reader waits.
//!
//! They are polled by whoever reads the stream, so they end with it and nothing is left behind.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::transport::LocalBoxFuture;
use crate::runtime::{LONGEST_WAIT, Timer};

/// How long an answer may take. Signs of life begin the wait anew, up to a last moment.
#[derive(Debug)]
pub(crate) struct Patience {
    began: Instant,
    timeout: Duration,
    deadline: Instant,
    last: Instant,
}

/// The wait was in vain for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut(pub(crate) Duration);

impl Patience {
    pub(crate) fn new(timeout: Duration, longest: Duration) -> Self {
        let began = Instant::now();
        let longest = longest.min(LONGEST_WAIT);
        let timeout = timeout.min(longest);
        Patience { began, timeout, deadline: began + timeout, last: began + longest }
    }

    /// A wait without an end, for streams that stay open.
    pub(crate) fn endless() -> Self {
        Patience::new(LONGEST_WAIT, LONGEST_WAIT)
    }

    /// The wait is over, and was in vain.
    pub(crate) fn spent(&self, now: Instant) -> TimedOut {
        TimedOut(now.duration_since(self.began))
    }

    /// The wait begins anew.
    pub(crate) fn restart(&mut self) {
        self.restart_from(Instant::now());
    }

    /// The wait has begun anew at `since`, unless it did so later.
    fn restart_from(&mut self, since: Instant) {
        self.deadline = self.deadline.max(since + self.timeout).min(self.last);
    }

    /// What is left of the longest wait, however often it begins anew.
    pub(crate) fn longest_left(&self) -> Duration {
        self.last.saturating_duration_since(Instant::now())
    }

    /// What is left of the wait.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Answers in the making, by the ids of the server's questions.
pub(crate) struct Crowd<'a> {
    members: Vec<(Value, LocalBoxFuture<'a, ()>)>,
    /// The answers that the whole client is at. A server may ask on one stream what it needs for another.
    answering: &'a Answering,
}

impl<'a> Crowd<'a> {
    pub(crate) fn new(answering: &'a Answering) -> Self {
        Crowd { members: Vec::new(), answering }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn add(&mut self, id: Value, answer: LocalBoxFuture<'a, ()>) {
        self.members.push((id, answer));
    }

    /// The server no longer wants the answer.
    pub(crate) fn withdraw(&mut self, id: &Value) {
        self.members.retain(|(member, _)| member != id);
    }

    /// Polls all; true when one ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.members.len();
        self.members.retain_mut(|(_, answer)| answer.as_mut().poll(cx).is_pending());
        self.members.len() < before
    }

    /// Awaits `work` while the answers go on, for as long as the patience lasts. It does not run out while the server
    /// waits for an answer of ours, but for its last moment.
    pub(crate) async fn beside<T>(
        &mut self,
        patience: &mut Patience,
        work: impl Future<Output = T>,
    ) -> Result<T, TimedOut> {
        let mut work = pin!(work);
        let mut timer = Timer::at(patience.deadline);
        poll_fn(|cx| {
            if self.poll(cx) {
                patience.restart();
            }
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            loop {
                ready!(Pin::new(&mut timer).poll(cx));
                if let Some(since) = self.answering.since() {
                    patience.restart_from(since);
                }
                let now = Instant::now();
                if patience.deadline <= now {
                    return Poll::Ready(Err(patience.spent(now)));
                }
                timer = Timer::at(patience.deadline);
            }
        })
        .await
    }
}

/// The answers that a client is at, and when it gave the last one.
#[derive(Debug, Default)]
pub(crate) struct Answering {
    open: Cell<usize>,
    last: Cell<Option<Instant>>,
}

impl Answering {
    /// One more answer, until the guard is dropped.
    pub(crate) fn one(&self) -> OneAnswer<'_> {
        self.open.set(self.open.get() + 1);
        OneAnswer(self)
    }

    /// Since when the server no longer waits for an answer: now while it does, `None` where it never did.
    fn since(&self) -> Option<Instant> {
        if self.open.get() > 0 { Some(Instant::now()) } else { self.last.get() }
    }
}

/// An answer in the making.
pub(crate) struct OneAnswer<'a>(&'a Answering);

impl Drop for OneAnswer<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.last.set(Some(Instant::now()));
    }
}
