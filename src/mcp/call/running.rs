//! A call in flight.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use crate::limits::Limit;
use crate::mcp::call::call_time::{CallTime, Over};
use crate::mcp::call::context::CallState;
use crate::mcp::call::outcome;
use crate::mcp::call::signals::CancelReason;
use crate::mcp::message::answer::{Answer, Label, Refusal};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::call_error::{CallError, Failure};
use crate::mcp::offer::handler::{HandlerFuture, Produced};
use crate::mcp::session::entry::Session;
use crate::mcp::session::pending::Reply as ClientReply;
use crate::mcp::session::replay::Replay;

/// A handler in flight, to be polled by the task of its connection; nothing is spawned for it.
///
/// After each [`Call::poll`] that is pending, take events with [`Call::poll_event`] until that is pending too, or as
/// far as the client reads; after any were taken, poll again before waiting. The answer is held back until every
/// event was taken. Nobody is woken for events that are already there: who stopped taking them for want of room looks
/// at [`Call::has_events`] when there is room again. Dropping the call drops the handler and tells whatever it left
/// behind on other threads to stop.
pub struct Call {
    state: Arc<CallState>,
    /// Present until the handler ended or was stopped.
    future: Option<HandlerFuture>,
    /// What the handler returned, until it is written.
    finished: Option<Result<Produced, CallError>>,
    label: Label,
    registered: bool,
    time: CallTime,
}

impl Call {
    /// Uses the session until it is dropped, beyond the request that brought the call.
    pub(crate) fn new(state: Arc<CallState>, future: HandlerFuture) -> Call {
        if let Some(session) = &state.session {
            session.enter();
        }
        let label = state.label();
        let time = CallTime::new(state.deadline);
        Call { state, future: Some(future), finished: None, label, registered: false, time }
    }

    /// Runs the handler on. When it has ended and all events were taken, appends the JSON-RPC message to `out`.
    ///
    /// A panic of the handler is caught, logged, counted in the label and answered as an internal error.
    pub fn poll(&mut self, cx: &mut TaskContext<'_>, out: &mut Vec<u8>) -> Poll<Answer> {
        if self.future.is_some() {
            self.advance(cx);
            self.note_time();
        }
        if self.finished.is_some() && !self.state.signals.has_events() {
            let finished = self.finished.take().expect("invariant: checked one line above");
            return Poll::Ready(self.conclude(finished, out));
        }
        self.state.signals.register(cx.waker());
        let cancelled = self.state.signals.cancel_reason() == Some(CancelReason::Client);
        if self.future.is_some() && (cancelled || self.state.asking.is_suspended()) {
            // It came from another thread after the handler ran, and before there was anyone to wake.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Appends the next notification, one JSON-RPC message, for the response's event stream.
    ///
    /// The first one decides that the response is a stream. Costs one atomic load when there never was any.
    /// Pending wakes nobody by itself: [`Call::poll`] has registered the task.
    pub fn poll_event(&mut self, _cx: &mut TaskContext<'_>, out: &mut Vec<u8>) -> Poll<()> {
        if !self.state.signals.has_events() {
            return Poll::Pending;
        }
        match self.state.signals.take_event() {
            Some(event) => {
                out.extend_from_slice(&event);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }

    /// True while an event waits to be taken.
    pub fn has_events(&self) -> bool {
        self.state.signals.has_events()
    }

    /// True while the call waits for its client's answer to a question (the revisions before 2026-07-28): its own time
    /// stands still then, and `client_request_timeout_ms` counts instead. May change with each [`Call::poll`].
    pub fn is_asking(&self) -> bool {
        self.state.asking.is_waiting()
    }

    /// Ends the wait for the client's answers, because nobody can bring the questions to the client while the call
    /// runs; true when there was one. Poll the call again.
    pub fn refuse_question(&mut self) -> bool {
        self.state.asking.give_up(|| ClientReply::Unreachable)
    }

    /// When [`Call::poll_expired`] is due: the call's own time, or that of its client's answer, is up. Never, once only
    /// its events stand before its answer. May change with each [`Call::poll`].
    pub fn expires_at(&self) -> Option<Instant> {
        (!self.is_finished()).then(|| self.time.deadline())
    }

    /// The session that keeps the call's events for a client that comes back.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.state.session.as_ref()
    }

    /// Whether the author wants the connection of the call's stream closed.
    pub(crate) fn wants_hang_up(&self) -> bool {
        !self.is_finished() && self.state.signals.wants_hang_up()
    }

    /// As [`Call::wants_hang_up`], once.
    pub(crate) fn take_hang_up(&self) -> bool {
        self.state.signals.take_hang_up()
    }

    /// What the process keeps for clients that resume.
    pub(crate) fn replay(&self) -> &Arc<Replay> {
        &self.state.snapshot.shared().replay
    }

    /// The time the call may take.
    pub fn timeout(&self) -> Duration {
        self.state.timeout
    }

    /// Does what is due at `now`, see [`Call::expires_at`]. Where the time of the client's answer is up, the handler
    /// sees an error at each open question when it is polled; where the call's own is, it is stopped and answered.
    pub fn poll_expired(&mut self, now: Instant, out: &mut Vec<u8>) -> Poll<Answer> {
        match self.time.over(now).filter(|_| !self.is_finished()) {
            Some(Over::Call) => Poll::Ready(self.expire(out)),
            Some(Over::Question) => {
                if let Some(stood_still) = self.time.give_up(now) {
                    self.state.extend(stood_still);
                }
                self.state.asking.give_up(|| ClientReply::TimedOut);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// Stops the call because its time is up and says so, with its name and the limit: in a result with `isError: true`
    /// where it is a tool's, else in an error.
    pub fn expire(&mut self, out: &mut Vec<u8>) -> Answer {
        self.stop(CancelReason::Deadline);
        let text = format!(
            "The {} {} did not finish within {} ms and was cancelled.",
            self.state.kind(),
            self.name(),
            self.timeout().as_millis()
        );
        let answer = outcome::write_failed(out, &self.state, ErrorKind::Timeout, text, self.label);
        self.label = answer.label;
        answer
    }

    /// Tells the handler to stop, because the client does not want the answer any more; it is to be polled once more.
    pub(crate) fn cancel_by_client(&mut self) {
        self.state.signals.cancel(CancelReason::Client);
    }

    /// The request's id as JSON text.
    pub(crate) fn id(&self) -> &str {
        self.state.id.as_str()
    }

    /// Tells the handler to stop, because the client went away or the server stops. It may be polled on for as long
    /// as the caller gives it; dropping the call ends it.
    pub fn cancel(&mut self) {
        self.state.signals.cancel(CancelReason::Server);
    }

    /// Stops the call and writes the answer for one that was cancelled: by the client, or else because the server
    /// stops.
    pub fn cancelled_answer(&mut self, out: &mut Vec<u8>) -> Answer {
        self.stop(CancelReason::Server);
        let refusal = match self.state.signals.cancel_reason() {
            Some(CancelReason::Client) => client_cancelled(),
            _ => Refusal::new(ErrorKind::ShuttingDown, "The server stops; send the request again later"),
        };
        refusal.answer(out, Some(self.state.id.as_str()), Some(self.state.revision), self.label)
    }

    /// True where a lost connection is no cancellation: in the revisions before 2026-07-28.
    pub fn survives_disconnect(&self) -> bool {
        !self.state.revision.is_modern()
    }

    /// Whether the handler has ended, so that only its events stand between it and its answer.
    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// What to count; the error is set once the call was answered.
    pub fn label(&self) -> Label {
        self.label
    }

    /// The name of what is called.
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// How often an event found `max_stream_queue_bytes` used up: it waited, or was dropped for being larger.
    pub fn times_queue_full(&self) -> u32 {
        self.state.signals.times_full()
    }

    fn advance(&mut self, cx: &mut TaskContext<'_>) {
        let Some(future) = self.future.as_mut() else { return };
        // The handler may look at its deadline.
        if let Some(stood_still) = self.time.catch_up(self.state.snapshot.shared().options.monotonic_clock) {
            self.state.extend(stood_still);
        }
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) if self.state.asking.is_suspended() => {
                self.finish(Err(CallError(Failure::InputRequired)));
            }
            Ok(Poll::Pending) => self.linger(),
            Ok(Poll::Ready(finished)) => self.finish(finished),
            Err(panic) => self.finish(Err(outcome::panicked(self.state.name(), &*panic))),
        }
    }

    /// The call's own time stands still from a question to its answer.
    fn note_time(&mut self) {
        let options = &self.state.snapshot.shared().options;
        let asking = &self.state.asking;
        let question = (self.finished.is_none() && asking.is_waiting()).then(|| asking.questions());
        let time = options.limits.duration(Limit::ClientRequestTime);
        if let Some(stood_still) = self.time.note(question, time, options.monotonic_clock) {
            self.state.extend(stood_still);
        }
    }

    /// The handler waits: from now on a cancellation must find it, and one that already came ends it.
    fn linger(&mut self) {
        if let (Some(session), false) = (&self.state.session, self.registered) {
            session.add_call(&self.state);
            self.registered = true;
        }
        if self.state.signals.cancel_reason() == Some(CancelReason::Client) {
            // It was polled once since, and so had its chance to tidy up.
            self.state.signals.discard();
            let refusal = client_cancelled();
            self.finish(Err(CallError(Failure::Known { kind: refusal.kind, message: refusal.message })));
        }
    }

    fn finish(&mut self, finished: Result<Produced, CallError>) {
        self.drop_future();
        if Arc::strong_count(&self.state) > 1 {
            // The handler left a context somewhere; nothing may be sent after the end.
            self.state.signals.close();
        }
        self.finished = Some(finished);
    }

    fn conclude(&mut self, finished: Result<Produced, CallError>, out: &mut Vec<u8>) -> Answer {
        let answer = outcome::write(out, &self.state, finished, self.label);
        self.label = answer.label;
        answer
    }

    fn stop(&mut self, reason: CancelReason) {
        self.state.signals.cancel(reason);
        self.drop_future();
        self.finished = None;
        self.state.signals.discard();
    }

    /// Drops the handler; a panic in one of its destructors goes no further.
    fn drop_future(&mut self) {
        let Some(future) = self.future.take() else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            outcome::panicked(self.state.name(), &*panic);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.drop_future();
        if Arc::strong_count(&self.state) > 1 {
            self.state.signals.cancel(CancelReason::Finished);
            self.state.signals.discard();
        }
        if let Some(session) = &self.state.session {
            session.leave(self.registered.then_some(&self.state));
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("name", &self.name()).field("label", &self.label).finish_non_exhaustive()
    }
}

fn client_cancelled() -> Refusal {
    Refusal::new(ErrorKind::Cancelled, "The request was cancelled by the client")
}
