//! A tool call that did not finish at its first poll: only here are the deadline, the disconnect watch and the event
//! stream armed.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::Span;

use super::call_time::{CallTime, Over};
use super::connection::Connection;
use super::core::CoreState;
use super::exchange::{self, Reply};
use super::roster::Phase;
use crate::http::EventStream;
use crate::limits::Limit;
use crate::mcp::{Answer, Call, ErrorKind, Label};
use crate::runtime::Deadline;

/// Events are moved this often in one turn of the task; then others have the core.
pub(super) const MAX_TURNS: usize = 64;

/// How a call left the connection.
pub(super) enum FlightEnd {
    /// Its answer is written; whether the connection serves on.
    Answered { keep: bool },
    /// The client is gone.
    Gone,
}

/// What ended the wait for one more step of a call.
enum Step {
    Answer(Answer),
    Gone,
}

/// A call and what its connection keeps while it runs.
pub(super) struct Flight {
    call: Box<Call>,
    pub(super) span: Span,
    /// Set from the first event on.
    events: Option<EventStream>,
    begun_at: Instant,
    time: CallTime,
    keep_alive_at: Instant,
    /// Set while a write waits for the client.
    write_by: Option<Instant>,
    /// The stream's queue has been full; counted once a call.
    was_full: bool,
    /// The client has sent as much ahead as is taken; counted once a call.
    read_enough: bool,
}

impl Flight {
    /// A call that was not polled yet; its deadlines are armed when it turns out to take time.
    pub(super) fn new(call: Box<Call>, reply: &Reply) -> Self {
        let (span, begun_at) = (reply.span.clone(), reply.begun_at);
        let time = CallTime::new(begun_at, call.timeout());
        Self {
            call,
            span,
            events: None,
            begun_at,
            time,
            keep_alive_at: begun_at,
            write_by: None,
            was_full: false,
            read_enough: false,
        }
    }

    /// Polls the handler once, telling the watchdog what this core is doing.
    pub(super) fn poll_call(
        &mut self,
        core: &CoreState,
        cx: &mut Context<'_>,
        body: &mut Vec<u8>,
    ) -> Poll<Answer> {
        let _entered = self.span.enter();
        let _activity = self.call.label().tool.map(|tool| core.activity.enter(tool));
        if let Some(stood_still) = self.time.catch_up(Instant::now) {
            self.call.extend(stood_still);
        }
        let answer = self.call.poll(cx, body);
        if answer.is_pending() {
            let time = core.shared.limits.duration(Limit::ClientRequestTime);
            if let Some(stood_still) = self.time.note(self.call.is_asking(), time, Instant::now) {
                self.call.extend(stood_still);
            }
        }
        answer
    }

    /// Ends the wait for the client's answers where nobody can bring it the questions; true when there was any.
    pub(super) fn refuse_questions(&mut self) -> bool {
        self.call.is_asking() && self.call.refuse_question()
    }

    /// Ends the call, or the wait for its client's answer, where their time is up.
    fn poll_time(&mut self, now: Instant, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<Answer> {
        match self.time.over(now) {
            Some(Over::Call) => Poll::Ready(self.call.expire(body)),
            Some(Over::Question) => {
                if let Some(stood_still) = self.time.give_up(now) {
                    self.call.extend(stood_still);
                }
                self.call.expire_question();
                // The handler hears of it when it is polled.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// Takes the next event the call has queued.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<()> {
        body.clear();
        self.call.poll_event(cx, body)
    }

    fn arm(&mut self, now: Instant, keep_alive: Duration) {
        self.time = CallTime::new(now, self.call.timeout());
        self.keep_alive_at = now + keep_alive;
    }

    fn next_deadline(&self) -> Instant {
        let mut next = self.keep_alive_at;
        // A call that has ended waits only for its client, which the write's deadline bounds.
        if !self.call.is_finished() {
            next = next.min(self.time.deadline());
        }
        self.write_by.map_or(next, |by| next.min(by))
    }
}

impl Connection {
    /// Runs a call that is pending to its end: streams its events, watches for the client's disconnect and the call's
    /// deadline.
    pub(super) async fn fly(&mut self, mut flight: Flight, mut reply: Reply) -> FlightEnd {
        let shared = self.core.shared.clone();
        let _permit = shared.inflight.enter();
        // Answers of earlier pipelined requests do not wait for this one.
        self.stage();
        reply.name_late(&self.core);
        flight.span = reply.span.clone();
        let now = Instant::now();
        flight.arm(now, shared.limits.duration(Limit::KeepAliveTime));
        match poll_fn(|cx| self.poll_flight(&mut flight, &reply, cx)).await {
            Step::Answer(answer) => {
                reply.closing = self.last_answer();
                let keep = match flight.events {
                    Some(events) => exchange::finish_stream(
                        &self.core,
                        &reply,
                        events,
                        &answer,
                        &self.body,
                        &mut self.out,
                    ),
                    None => exchange::finish(&self.core, &reply, &answer, &self.body, &mut self.out),
                };
                FlightEnd::Answered { keep }
            }
            Step::Gone => {
                self.abandon(flight);
                FlightEnd::Gone
            }
        }
    }

    fn poll_flight(&mut self, flight: &mut Flight, reply: &Reply, cx: &mut Context<'_>) -> Poll<Step> {
        let core = self.core.clone();
        let mut turns = 0;
        loop {
            self.body.clear();
            if let Poll::Ready(answer) = flight.poll_call(&core, cx, &mut self.body) {
                return Poll::Ready(Step::Answer(answer));
            }
            // The answer is held back until every event is taken, and taking one lets a waiting tool go on. Nobody is
            // woken for events that are known, so room that a send makes is used at once.
            let moved = self.take_event(flight, reply, cx);
            let was_full = self.is_stream_full(flight);
            if self.poll_send(flight, cx) {
                return Poll::Ready(Step::Gone);
            }
            let has_new_room = was_full && !self.is_stream_full(flight);
            if !moved && !has_new_room {
                break;
            }
            turns += 1;
            if turns == MAX_TURNS {
                // A tool that never stops sending shares its core.
                cx.waker().wake_by_ref();
                break;
            }
        }
        if self.poll_input(flight, cx) {
            return Poll::Ready(Step::Gone);
        }
        self.member.watch(cx);
        if self.member.phase() == Phase::Cancelling && !flight.call.is_finished() {
            return Poll::Ready(Step::Answer(flight.call.cancelled_answer(&mut self.body)));
        }
        self.poll_deadlines(flight, cx)
    }

    /// Whether the stream takes no event now. One event always has room, so that a stream never waits for others alone.
    fn is_stream_full(&mut self, flight: &mut Flight) -> bool {
        let staged = self.stream.staged();
        if staged > 0 && staged >= self.core.shared.limits.max_stream_queue_bytes as usize {
            if !std::mem::replace(&mut flight.was_full, true) {
                self.core.metrics().hit(Limit::StreamQueueBytes);
            }
            return true;
        }
        staged > 0 && !self.account()
    }

    /// Moves the events the call has queued into the stream, as far as it has room; true when any was moved.
    fn take_event(&mut self, flight: &mut Flight, reply: &Reply, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !self.is_stream_full(flight) {
            if flight.poll_event(cx, &mut self.body).is_pending() {
                break;
            }
            moved = true;
            let core = &self.core;
            let out = &mut self.out;
            let events = *flight.events.get_or_insert_with(|| exchange::begin_stream(core, reply, out));
            events.event(&mut self.out, None, &self.body);
            self.stage();
        }
        // What was the last event's must not stand before the answer.
        self.body.clear();
        moved
    }

    /// Sends what is staged; true when the client is gone or has not read for too long.
    fn poll_send(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> bool {
        if self.stream.staged() == 0 {
            return false;
        }
        let before = self.stream.staged();
        match self.stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => flight.write_by = None,
            Poll::Ready(Err(_)) => return true,
            // Whoever reads, however slowly, is not given up.
            Poll::Pending if flight.write_by.is_none() || self.stream.staged() < before => {
                flight.write_by = Some(Instant::now() + self.core.shared.limits.duration(Limit::WriteTime));
            }
            Poll::Pending => {}
        }
        false
    }

    /// Reads ahead within bounds; true at the end of input, which with a request in flight is a disconnect.
    fn poll_input(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> bool {
        let room = self.core.shared.limits.max_read_ahead_bytes as usize;
        loop {
            if self.reader.buffered() >= room {
                if !std::mem::replace(&mut flight.read_enough, true) {
                    self.core.metrics().hit(Limit::ReadAheadBytes);
                }
                return false;
            }
            if !self.account() {
                return false;
            }
            match self.stream.poll_read(cx) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                    self.core.metrics().bytes_received(bytes.len());
                    self.reader.feed(&bytes);
                }
                Poll::Ready(_) => return true,
                Poll::Pending => return false,
            }
        }
    }

    fn poll_deadlines(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            self.deadline.set(flight.next_deadline());
            if self.deadline.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if !flight.call.is_finished()
                && let Poll::Ready(answer) = flight.poll_time(now, cx, &mut self.body)
            {
                return Poll::Ready(Step::Answer(answer));
            }
            if flight.write_by.is_some_and(|by| now >= by) {
                self.core.metrics().hit(Limit::WriteTime);
                return Poll::Ready(Step::Gone);
            }
            if now >= flight.keep_alive_at {
                flight.keep_alive_at = now + self.core.shared.limits.duration(Limit::KeepAliveTime);
                if self.send_sign_of_life(flight, cx) {
                    return Poll::Ready(Step::Gone);
                }
            }
        }
    }

    /// A comment on a quiet stream; true when the client is gone. A stream that is still full needs none.
    fn send_sign_of_life(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> bool {
        match flight.events {
            Some(events) if self.stream.staged() == 0 => {
                events.comment(&mut self.out, "alive");
                self.stage();
                self.poll_send(flight, cx)
            }
            _ => false,
        }
    }

    /// The client is gone: a call of the modern era is cancelled, one of the older eras runs on without it.
    fn abandon(&mut self, mut flight: Flight) {
        if !flight.call.survives_disconnect() {
            flight.call.cancel();
            let label = Label { error: Some(ErrorKind::Cancelled), ..flight.call.label() };
            self.core.record(&label, flight.begun_at);
            return;
        }
        // A scope that is closing takes no new task; then the call ends with its connection.
        let _ = self.scope.spawn("call without a client", run_on(self.core.clone(), flight));
    }
}

/// Runs a call whose client has gone to its end, or until its time is up or the server stops.
async fn run_on(core: Rc<CoreState>, mut flight: Flight) {
    let member = core.roster.enter(true);
    let _permit = core.shared.inflight.enter();
    let deadline = Deadline::new();
    let mut body = Vec::new();
    poll_fn(|cx| {
        deadline.set(flight.time.deadline());
        for _ in 0..MAX_TURNS {
            body.clear();
            if let Poll::Ready(answer) = flight.poll_call(&core, cx, &mut body) {
                core.record(&answer.label, flight.begun_at);
                return Poll::Ready(());
            }
            // Nobody reads the events; taking them keeps the tool from waiting for room.
            if flight.poll_event(cx, &mut body).is_pending() {
                member.watch(cx);
                if member.phase() == Phase::Cancelling {
                    return Poll::Ready(());
                }
                deadline.set(flight.time.deadline());
                if deadline.poll_expired(cx).is_ready() {
                    return flight.poll_time(Instant::now(), cx, &mut body).map(drop);
                }
                return Poll::Pending;
            }
        }
        // A tool that never stops sending shares its core, and still ends in time.
        cx.waker().wake_by_ref();
        if deadline.is_expired() || member.phase() == Phase::Cancelling {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
