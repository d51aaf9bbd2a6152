//! A tool call in flight.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crate::mcp::call::context::CallState;
use crate::mcp::call::outcome;
use crate::mcp::call::signals::CancelReason;
use crate::mcp::message::answer::{Answer, Label, Refusal};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::call_error::{CallError, Failure};
use crate::mcp::offer::handler::{HandlerFuture, Produced};
use crate::mcp::offer::reply::Reply;
use crate::mcp::session::pending::Reply as ClientReply;

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
}

impl Call {
    pub(crate) fn new(state: Arc<CallState>, future: HandlerFuture) -> Call {
        let label = state.label();
        Call { state, future: Some(future), finished: None, label, registered: false }
    }

    /// Runs the handler on. When it has ended and all events were taken, appends the JSON-RPC message to `out`.
    ///
    /// A panic of the handler is caught, logged, counted in the label and answered as an internal error.
    pub fn poll(&mut self, cx: &mut TaskContext<'_>, out: &mut Vec<u8>) -> Poll<Answer> {
        if self.future.is_some() {
            self.advance(cx);
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

    /// While [`Call::is_asking`]: the number of the question that was asked last, the first being 1.
    pub fn open_question(&self) -> Option<u32> {
        self.is_asking().then(|| self.state.asking.questions())
    }

    /// Ends the wait for the client's answers, because their time is up: the handler sees an error at each open
    /// question. Poll the call again.
    pub fn expire_question(&mut self) {
        let _ = self.state.asking.give_up(|| ClientReply::TimedOut);
    }

    /// Ends the wait for the client's answers, because nobody can bring the questions to the client while the call
    /// runs; true when there was one. Poll the call again.
    pub fn refuse_question(&mut self) -> bool {
        self.state.asking.give_up(|| ClientReply::Unreachable)
    }

    /// Moves the deadline that the handler sees, after its time stood still for so long.
    pub fn extend(&mut self, by: Duration) {
        self.state.extend(by);
    }

    /// The time the call may take.
    pub fn timeout(&self) -> Duration {
        self.state.timeout
    }

    /// Stops the call because its time is up and writes a result with `isError: true` that names tool and limit.
    pub fn expire(&mut self, out: &mut Vec<u8>) -> Answer {
        self.stop(CancelReason::Deadline);
        let text = format!(
            "The tool {} did not finish within {} ms and was cancelled.",
            self.name(),
            self.timeout().as_millis()
        );
        outcome::write_reply(out, &self.state, &Reply::text(text).failed());
        self.label.error = Some(ErrorKind::Timeout);
        Answer::with_body(ErrorKind::Timeout.status(Some(self.state.revision)), self.label)
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
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) if self.state.asking.is_suspended() => {
                self.finish(Err(CallError(Failure::InputRequired)));
            }
            Ok(Poll::Pending) => self.linger(),
            Ok(Poll::Ready(finished)) => self.finish(finished),
            Err(panic) => self.finish(Err(outcome::panicked(self.state.name(), &*panic))),
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
