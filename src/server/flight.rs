//! A tool call that did not finish at its first poll: only here are the deadline, the disconnect watch and the event
//! stream armed.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::connection::{Connection, Next};
use super::core::CoreState;
use super::exchange::{self, Reply};
use super::roster::Phase;
use crate::http;
use crate::limits::Limit;
use crate::mcp::{Answer, Call};

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
    call: Call,
    /// The first event, where the call queued one before it was asked.
    streaming: bool,
    expires_at: Instant,
    keep_alive_at: Instant,
    /// Set while a write waits for the client.
    write_by: Option<Instant>,
    input_closed: bool,
    cancelled: bool,
}

impl Flight {
    pub(super) fn new(call: Call) -> Self {
        let far = Instant::now();
        Self {
            call,
            streaming: false,
            expires_at: far,
            keep_alive_at: far,
            write_by: None,
            input_closed: false,
            cancelled: false,
        }
    }

    /// Polls the handler once, telling the watchdog what this core is doing.
    pub(super) fn poll_call(&mut self, core: &CoreState, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<Answer> {
        let _activity = core.activity.enter(self.call.tool_name());
        self.call.poll(cx, body)
    }

    pub(super) fn has_events(&self) -> bool {
        self.call.has_events()
    }

    fn arm(&mut self, now: Instant, keep_alive: Duration) {
        self.expires_at = now + self.call.timeout();
        self.keep_alive_at = now + keep_alive;
    }

    fn next_deadline(&self) -> Instant {
        let mut next = self.expires_at;
        if self.streaming {
            next = next.min(self.keep_alive_at);
        }
        self.write_by.map_or(next, |by| next.min(by))
    }
}

impl Connection {
    /// Runs a call to its end, streaming its events, watching for the client's disconnect and the call's deadline.
    pub(super) async fn fly(&mut self, mut flight: Flight, mut reply: Reply, first: Poll<Answer>) -> FlightEnd {
        let shared = self.core.shared.clone();
        let _permit = shared.inflight.enter(self.core.metrics());
        // Answers of earlier pipelined requests do not wait for this one.
        self.stage();
        flight.arm(Instant::now(), shared.limits.duration(Limit::KeepAliveTime));
        let answer = match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => match poll_fn(|cx| self.poll_flight(&mut flight, &mut reply, cx)).await {
                Step::Answer(answer) => answer,
                Step::Gone => {
                    self.abandon(flight);
                    return FlightEnd::Gone;
                }
            },
        };
        self.land(flight, reply, &answer).await
    }

    /// Writes the final message, as the last event of the stream where one was begun.
    async fn land(&mut self, mut flight: Flight, mut reply: Reply, answer: &Answer) -> FlightEnd {
        let message = std::mem::take(&mut self.body);
        loop {
            if self.move_events(&mut flight, &mut reply) {
                break;
            }
            if self.flush().await == Next::Abort {
                return FlightEnd::Gone;
            }
        }
        self.body = message;
        reply.closing = self.last_answer() || flight.input_closed;
        let keep = if flight.streaming {
            exchange::finish_stream(&self.core, &reply, answer, &self.body, &mut self.out)
        } else {
            exchange::finish(&self.core, &reply, answer, &self.body, &mut self.out)
        };
        FlightEnd::Answered { keep: keep && !flight.input_closed }
    }

    fn poll_flight(&mut self, flight: &mut Flight, reply: &mut Reply, cx: &mut Context<'_>) -> Poll<Step> {
        let core = self.core.clone();
        if let Poll::Ready(answer) = flight.poll_call(&core, cx, &mut self.body) {
            return Poll::Ready(Step::Answer(answer));
        }
        flight.call.watch_events(cx);
        self.move_events(flight, reply);
        if self.poll_send(flight, cx) || self.poll_input(flight, cx) {
            return Poll::Ready(Step::Gone);
        }
        self.member.watch(cx);
        if self.member.phase() == Phase::Cancelling && !flight.cancelled {
            flight.cancelled = true;
            return Poll::Ready(Step::Answer(flight.call.cancelled_answer(&mut self.body)));
        }
        self.poll_deadlines(flight, cx)
    }

    /// Moves queued events into the stream while it has room; true when no event is left.
    fn move_events(&mut self, flight: &mut Flight, reply: &mut Reply) -> bool {
        let room = self.core.shared.limits.max_stream_queue_bytes as usize;
        while flight.call.has_events() {
            if self.stream.staged() + self.out.len() > room {
                return false;
            }
            self.body.clear();
            if !flight.call.next_event(&mut self.body) {
                break;
            }
            if !flight.streaming {
                flight.streaming = true;
                exchange::begin_stream(&self.core, reply, &mut self.out);
            }
            http::write_sse_event(&mut self.out, reply.sse_framing(), None, &self.body);
            self.stage();
        }
        true
    }

    /// Sends what is staged; true when the client is gone or has not read for too long.
    fn poll_send(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> bool {
        if self.stream.staged() == 0 {
            return false;
        }
        match self.stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => flight.write_by = None,
            Poll::Ready(Err(_)) => return true,
            Poll::Pending => {
                let limit = self.core.shared.limits.duration(Limit::WriteTime);
                flight.write_by.get_or_insert_with(|| Instant::now() + limit);
            }
        }
        false
    }

    /// Reads ahead within bounds; the end of input with a request in flight is a disconnect.
    fn poll_input(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> bool {
        let room = self.core.shared.limits.max_read_ahead_bytes as usize;
        while !flight.input_closed && self.reader.buffered() < room {
            match self.stream.poll_read(cx) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                    self.core.metrics().received(bytes.len());
                    self.reader.feed(&bytes);
                }
                Poll::Ready(_) => {
                    flight.input_closed = true;
                    return true;
                }
                Poll::Pending => break,
            }
        }
        false
    }

    fn poll_deadlines(&mut self, flight: &mut Flight, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            self.deadline.set(flight.next_deadline());
            if self.deadline.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now >= flight.expires_at {
                self.core.metrics().hit(Limit::ToolTime);
                return Poll::Ready(Step::Answer(flight.call.expire(&mut self.body)));
            }
            if flight.write_by.is_some_and(|by| now >= by) {
                self.core.metrics().hit(Limit::WriteTime);
                return Poll::Ready(Step::Gone);
            }
            if flight.streaming && now >= flight.keep_alive_at {
                flight.keep_alive_at = now + self.core.shared.limits.duration(Limit::KeepAliveTime);
                // A stream that is still full needs no sign of life.
                if self.stream.staged() == 0 {
                    http::write_sse_comment(&mut self.out, http::SseFraming::Chunked);
                    self.stage();
                    if self.poll_send(flight, cx) {
                        return Poll::Ready(Step::Gone);
                    }
                }
            }
        }
    }

    /// The client is gone: a call of the modern era is cancelled, one of the older eras runs on without it.
    fn abandon(&mut self, mut flight: Flight) {
        if !flight.call.survives_disconnect() {
            flight.call.cancel();
            return;
        }
        let core = self.core.clone();
        let expires_at = flight.expires_at;
        let member = core.roster.enter();
        let task = async move {
            let deadline = crate::runtime::Deadline::new();
            deadline.set(expires_at);
            let mut body = Vec::new();
            poll_fn(|cx| {
                member.watch(cx);
                let ended = flight.poll_call(&core, cx, &mut body).is_ready()
                    || deadline.poll_expired(cx).is_ready()
                    || member.phase() == Phase::Cancelling;
                // Nobody reads these events; taking them keeps the tool from waiting for room.
                while flight.call.next_event(&mut body) {
                    body.clear();
                }
                if ended { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            Ok(())
        };
        // A scope that is closing takes no new task; then the call ends with its connection.
        let _ = self.scope.spawn("call without client", task);
    }
}
