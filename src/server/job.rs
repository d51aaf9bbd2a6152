//! What a connection polls until its request is answered: a call, a batch of them, or an event stream.

use std::task::{Context, Poll};
use std::time::Instant;

use tracing::Span;

use super::core::CoreState;
use super::exchange::Reply;
use crate::limits::Limit;
use crate::limits::{Bounded, Place};
use crate::mcp::{Answer, Batch, Call, ErrorKind, EventHead, Feed, Label, SessionStream};

/// A request in flight.
pub(super) struct Job {
    work: Work,
    pub(super) span: Span,
    pub(super) begun_at: Instant,
}

/// The three kinds of work.
pub(crate) enum Work {
    Call(Box<Call>),
    Batch(Box<Batch>),
    Feed(Box<Feed>),
}

impl Job {
    pub(super) fn new(work: Work, reply: &Reply) -> Self {
        Self::begun(work, reply.span.clone(), reply.begun_at)
    }

    /// A request that did not come over HTTP.
    pub(super) fn begun(work: Work, span: Span, begun_at: Instant) -> Self {
        Self { work, span, begun_at }
    }

    /// Runs it on, telling the watchdog what this core is doing.
    pub(super) fn poll(
        &mut self,
        core: &CoreState,
        cx: &mut Context<'_>,
        body: &mut Vec<u8>,
    ) -> Poll<Answer> {
        let _entered = self.span.enter();
        match &mut self.work {
            Work::Call(call) => {
                let _activity = call.label().tool.map(|tool| core.activity.enter(tool));
                call.poll(cx, body)
            }
            Work::Batch(batch) => {
                let polled = batch.poll(cx, body);
                while let Some(label) = batch.take_ended() {
                    core.record(&label, self.begun_at);
                }
                polled
            }
            Work::Feed(feed) => feed.poll(cx, body),
        }
    }

    /// Takes the next event that waits.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<EventHead> {
        body.clear();
        match &mut self.work {
            Work::Call(call) => call.poll_event(cx, body).map(|()| EventHead::default()),
            Work::Batch(batch) => batch.poll_event(cx, body).map(|()| EventHead::default()),
            Work::Feed(feed) => feed.poll_event(cx, body),
        }
    }

    /// True for a stream, which begins before there is any event.
    pub(super) fn is_feed(&self) -> bool {
        matches!(self.work, Work::Feed(_))
    }

    /// Places among the handlers in flight.
    pub(super) fn places(&self, inflight: &Bounded) -> Vec<Place> {
        let count = match &self.work {
            Work::Call(_) => 1,
            Work::Batch(batch) => batch.running(),
            Work::Feed(_) => 0,
        };
        (0..count).map(|_| inflight.enter()).collect()
    }

    /// When [`Job::expire`] is due. May change with each poll.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        match &self.work {
            Work::Call(call) => call.expires_at(),
            Work::Batch(batch) => batch.expires_at(),
            Work::Feed(_) => None,
        }
    }

    /// Stops what has taken too long, the wait for a client's answer included. Without an answer it is to be polled again.
    pub(super) fn expire(&mut self, now: Instant, cx: &Context<'_>, body: &mut Vec<u8>) -> Poll<Answer> {
        match &mut self.work {
            Work::Call(call) => {
                if let Poll::Ready(answer) = call.poll_expired(now, body) {
                    return Poll::Ready(answer);
                }
            }
            Work::Batch(batch) => batch.expire(now),
            Work::Feed(_) => return Poll::Pending,
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends the wait for the client's answers where nobody can bring it the questions; true when there was any.
    pub(super) fn refuse_questions(&mut self) -> bool {
        match &mut self.work {
            Work::Call(call) => call.refuse_question(),
            Work::Batch(batch) => batch.refuse_questions(),
            Work::Feed(_) => false,
        }
    }

    /// Stops handlers that still run, because the server does. Without an answer it is to be polled again.
    pub(super) fn cancel(&mut self, cx: &Context<'_>, body: &mut Vec<u8>) -> Poll<Answer> {
        match &mut self.work {
            Work::Call(call) if !call.is_finished() => return Poll::Ready(call.cancelled_answer(body)),
            Work::Batch(batch) if batch.running() > 0 => {
                batch.cancel();
                cx.waker().wake_by_ref();
            }
            _ => {}
        }
        Poll::Pending
    }

    /// Stops the work because its client said so; true when there is nothing left to answer. Otherwise it is to be
    /// polled again, so that a handler can tidy up.
    pub(super) fn cancel_by_client(&mut self) -> bool {
        match &mut self.work {
            Work::Call(call) => {
                call.cancel_by_client();
                false
            }
            Work::Batch(_) => false,
            Work::Feed(_) => true,
        }
    }

    /// Stops the work because nobody can be answered any more, and counts it.
    pub(super) fn abandon(&mut self, core: &CoreState) {
        let label = match &mut self.work {
            Work::Call(call) => {
                call.cancel();
                Label { error: Some(ErrorKind::Cancelled), ..call.label() }
            }
            Work::Batch(batch) => {
                batch.cancel();
                Label { error: Some(ErrorKind::Cancelled), ..batch.label() }
            }
            Work::Feed(feed) => feed.label(),
        };
        core.record(&label, self.begun_at);
    }

    /// Ends a stream that would go on for as long as the server runs.
    pub(super) fn stop(&mut self) {
        if let Work::Feed(feed) = &mut self.work {
            feed.stop();
        }
    }

    /// Ends any stream where it stands; false for a call, which has an answer to come.
    pub(super) fn leave(&mut self) -> bool {
        match &mut self.work {
            Work::Feed(feed) => {
                feed.leave();
                true
            }
            Work::Call(_) | Work::Batch(_) => false,
        }
    }

    /// True from the moment that a session's stream has to be begun for it: there is an event, or the author wants the
    /// connection closed.
    pub(super) fn needs_stream(&self) -> bool {
        match &self.work {
            Work::Call(call) => call.session().is_some() && (call.has_events() || call.wants_hang_up()),
            Work::Batch(batch) => batch.has_events(),
            Work::Feed(_) => false,
        }
    }

    /// Begins that stream.
    pub(super) fn open_stream(&self) -> Option<(SessionStream, Option<Feed>, Option<Limit>)> {
        match &self.work {
            Work::Call(call) => Some(SessionStream::open(call.session()?, call.replay())),
            Work::Batch(batch) => Some(SessionStream::open(batch.session(), batch.replay())),
            Work::Feed(_) => None,
        }
    }

    /// Whether the author asked for the end of the stream's connection since the last look.
    pub(super) fn take_hang_up(&self) -> bool {
        matches!(&self.work, Work::Call(call) if call.take_hang_up())
    }

    /// The client is gone: false when that ends the job, and then it was told and counted.
    pub(super) fn survives_disconnect(&mut self, core: &CoreState) -> bool {
        match &mut self.work {
            Work::Call(call) if call.survives_disconnect() => true,
            Work::Call(call) => {
                call.cancel();
                let label = Label { error: Some(ErrorKind::Cancelled), ..call.label() };
                core.record(&label, self.begun_at);
                false
            }
            Work::Batch(_) => true,
            Work::Feed(_) => false,
        }
    }

    /// What to count for a stream whose client has gone.
    pub(super) fn feed_label(&self) -> Option<Label> {
        match &self.work {
            Work::Feed(feed) => Some(feed.label()),
            _ => None,
        }
    }
}
