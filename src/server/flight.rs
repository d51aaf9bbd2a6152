//! A request that is not answered at once: only here are deadlines, the disconnect watch and the event stream armed.
//!
//! The events of a call of 2026-07-28 go straight to its connection. Those of the revisions with sessions go to a stream
//! of the session, which outlives the connection: at the first of them the call goes on [`Apart`], and its connection
//! reads that stream like any other would.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::apart::Apart;
use super::connection::Connection;
use super::exchange::{self, Reply};
use super::job::{Job, Work};
use super::roster::Phase;
use crate::http::EventStream;
use crate::limits::Limit;
use crate::limits::Place;
use crate::mcp::Answer;

/// Events are moved this often in one turn of the task; then others have the core.
pub(super) const MAX_TURNS: usize = 64;

/// How a request left the connection.
pub(super) enum FlightEnd {
    /// Its answer is written; whether the connection serves on.
    Answered { keep: bool },
    /// The client is gone.
    Gone,
}

/// What ended the wait for one more step.
enum Step {
    Answer(Answer),
    Gone,
}

/// A job and what its connection keeps while it runs.
pub(super) struct Flight {
    pub(super) job: Job,
    /// Set from the first event on, and for a stream from its start.
    events: Option<EventStream>,
    keep_alive_at: Instant,
    /// Set while a write waits for the client.
    write_by: Option<Instant>,
    places: Vec<Place>,
    /// The call behind the stream counts itself.
    is_counted_apart: bool,
    /// The stream's queue has been full; counted once a call.
    was_full: bool,
    /// The client has sent as much ahead as is taken; counted once a call.
    read_enough: bool,
}

impl Flight {
    fn new(job: Job, places: Vec<Place>, keep_alive: Duration) -> Self {
        Self {
            job,
            events: None,
            keep_alive_at: Instant::now() + keep_alive,
            write_by: None,
            places,
            is_counted_apart: false,
            was_full: false,
            read_enough: false,
        }
    }

    fn next_deadline(&self) -> Instant {
        let mut next = self.keep_alive_at;
        // A call that has ended waits only for its client, which the write's deadline bounds.
        if let Some(expires_at) = self.job.expires_at() {
            next = next.min(expires_at);
        }
        self.write_by.map_or(next, |by| next.min(by))
    }
}

impl Connection {
    /// Brings a request that is pending to its end: streams its events, watches for the client's disconnect and for
    /// deadlines.
    pub(super) async fn fly(&mut self, mut job: Job, mut reply: Reply) -> FlightEnd {
        let shared = self.core.shared.clone();
        // Answers of earlier pipelined requests do not wait for this one.
        self.stage();
        reply.name_late(&self.core);
        job.span = reply.span.clone();
        let places = job.places(&shared.inflight);
        let mut flight = Flight::new(job, places, shared.limits.duration(Limit::KeepAliveTime));
        if flight.job.is_feed() {
            // Its client waits for the head, however long the first event takes.
            self.begin_stream(&mut flight, &reply);
            self.stage();
        }
        match poll_fn(|cx| self.poll_flight(&mut flight, &reply, cx)).await {
            Step::Answer(answer) => {
                reply.closing = self.last_answer();
                FlightEnd::Answered { keep: self.land(&flight, &reply, &answer) }
            }
            Step::Gone => {
                self.abandon(flight);
                FlightEnd::Gone
            }
        }
    }

    /// Writes the answer; whether the connection serves on.
    fn land(&mut self, flight: &Flight, reply: &Reply, answer: &Answer) -> bool {
        let Some(events) = flight.events else {
            return exchange::finish(&self.core, reply, answer, &self.body, &mut self.out);
        };
        if !flight.is_counted_apart {
            self.core.record(&answer.label, flight.job.begun_at);
        }
        exchange::finish_stream(reply, events, answer, &self.body, &mut self.out)
    }

    fn poll_flight(&mut self, flight: &mut Flight, reply: &Reply, cx: &mut Context<'_>) -> Poll<Step> {
        let core = self.core.clone();
        if self.member.phase() != Phase::Serving {
            flight.job.stop();
        }
        let mut turns = 0;
        loop {
            self.body.clear();
            if let Poll::Ready(answer) = flight.job.poll(&core, cx, &mut self.body) {
                return Poll::Ready(Step::Answer(answer));
            }
            if flight.job.needs_stream() && self.part(flight, reply) {
                continue;
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
        if self.member.phase() == Phase::Cancelling
            && let Poll::Ready(answer) = flight.job.cancel(cx, &mut self.body)
        {
            return Poll::Ready(Step::Answer(answer));
        }
        self.poll_deadlines(flight, cx)
    }

    fn begin_stream(&mut self, flight: &mut Flight, reply: &Reply) -> EventStream {
        *flight.events.get_or_insert_with(|| {
            // A client that vanished without a word is found by the signs of life, and its place and stream are free
            // again. One that is there and does not read runs into the limit first, which is counted, also where the
            // core is late to look. A socket that refuses the option is found later.
            let after = 2 * self.core.shared.limits.duration(Limit::WriteTime) + Duration::from_secs(2);
            let _ = self.stream.give_up_unacknowledged(after);
            exchange::begin_stream(&self.core, reply, &mut self.out)
        })
    }

    /// From its first event on a call of a session goes on by itself, and this connection reads the session's stream.
    /// False when the session has just ended, and with it its streams.
    fn part(&mut self, flight: &mut Flight, reply: &Reply) -> bool {
        let Some((stream, feed, hit)) = flight.job.open_stream() else { return false };
        if let Some(limit) = hit {
            self.core.metrics().hit(limit);
        }
        let Some(feed) = feed else { return false };
        self.begin_stream(flight, reply);
        flight.is_counted_apart = true;
        let job = std::mem::replace(&mut flight.job, Job::new(Work::Feed(Box::new(feed)), reply));
        let apart = Apart::new(job, Some(stream), std::mem::take(&mut flight.places));
        // A scope that is closing takes no new task; then the call, and with it the stream, ends here.
        let _ = self.scope.spawn("call with a stream", apart.run(self.core.clone()));
        true
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
            let Poll::Ready(head) = flight.job.poll_event(cx, &mut self.body) else { break };
            moved = true;
            let events = self.begin_stream(flight, reply);
            exchange::write_event(events, head, &self.body, &mut self.out);
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
            if flight.job.expires_at().is_some_and(|at| now >= at) {
                return flight.job.expire(now, cx, &mut self.body).map(Step::Answer);
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

    /// The client is gone: a call of the modern era is cancelled, one of the older eras runs on without it, a stream
    /// waits for its next reader.
    fn abandon(&mut self, mut flight: Flight) {
        if let (Some(label), false) = (flight.job.feed_label(), flight.is_counted_apart) {
            self.core.record(&label, flight.job.begun_at);
        }
        if flight.job.survives_disconnect(&self.core) {
            let apart = Apart::new(flight.job, None, flight.places);
            // A scope that is closing takes no new task; then the call ends with its connection.
            let _ = self.scope.spawn("call without a client", apart.run(self.core.clone()));
        }
    }
}
