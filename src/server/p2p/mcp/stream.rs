//! The bytes of one stream: frames in, frames out, within the stream's limits and time-outs.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};

use super::ahead::Ahead;
use super::outlet::Order;
use super::requests::{After, Requests};
use super::waits::{Waiting, Waits};
use crate::limits::Limit;
use crate::mcp::ErrorKind;
use crate::p2p::frame::{FrameError, FrameReader};
use crate::server::budget::Share;
use crate::server::core::CoreState;
use crate::server::flight::MAX_TURNS;
use crate::server::roster::{Member, Phase};

/// What is read at once.
const READ_BYTES: usize = 64 << 10;
/// An answer buffer that has grown past this is not kept.
const KEPT_BYTES: usize = 256 << 10;

thread_local! {
    /// Where each stream of the core reads to, so that one that waits holds no buffer.
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Where answers are gathered until they are sent.
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order.
    Close,
    /// The peer is gone, or broke a time-out.
    Reset,
}

pub(super) struct Stream<Io> {
    pub(super) io: Io,
    requests: Requests,
    pub(super) member: Member,
    reader: FrameReader,
    out: Vec<u8>,
    /// How much of `out` was sent.
    sent: usize,
    is_unflushed: bool,
    /// Nothing more is read.
    is_over: bool,
    /// The peer has closed its side.
    is_half_closed: bool,
    share: Share,
    waits: Waits,
    phase: Phase,
    /// Since the server drains.
    was_asked: bool,
    was_full: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Stream<Io> {
    pub(super) fn new(io: Io, requests: Requests) -> Self {
        let core = requests.host.core.clone();
        Stream {
            io,
            member: core.roster.enter(true),
            reader: FrameReader::new(core.shared.limits.max_p2p_frame_bytes),
            share: Share::of_peer(core.shared.budget.clone()),
            requests,
            out: Vec::new(),
            sent: 0,
            is_unflushed: false,
            is_over: false,
            is_half_closed: false,
            waits: Waits::new(),
            phase: Phase::Serving,
            was_asked: false,
            was_full: false,
        }
    }

    pub(super) fn core(&self) -> &CoreState {
        &self.requests.host.core
    }

    /// Moves everything that can be moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.member.watch(cx);
        self.requests.outlet.watch(cx);
        self.follow_phase();
        if self.requests.outlet.has_failed() || (self.is_half_closed && self.is_gone(cx)) {
            return Poll::Ready(End::Reset);
        }
        for _ in 0..MAX_TURNS {
            // What has ended stands before what is answered now: old peers count on the order.
            let mut moved = self.collect(cx);
            moved |= self.take_aside(cx);
            match self.poll_input(cx) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => {}
            }
            if self.poll_send(cx).is_err() {
                return Poll::Ready(End::Reset);
            }
            if self.is_done() {
                return Poll::Ready(End::Close);
            }
            if !moved {
                return self.poll_waits(cx);
            }
        }
        // A peer that never stops asking shares its core.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether a peer that has closed its side is gone altogether: then reading fails, where before it had ended.
    fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(Pin::new(&mut self.io).poll_read(cx, &mut [0]), Poll::Ready(Err(_)))
    }

    /// Takes one step of a shutdown with the core.
    fn follow_phase(&mut self) {
        let phase = self.member.phase();
        if phase == self.phase {
            return;
        }
        self.was_asked |=
            self.phase == Phase::Serving && (self.is_asked() || !self.requests.ahead.is_empty());
        self.phase = phase;
        match phase {
            Phase::Serving => {}
            Phase::Draining | Phase::Closing => self.requests.outlet.order(Order::Stop),
            Phase::Cancelling => {
                self.end_input();
                self.requests.outlet.order(Order::GiveUp);
            }
        }
    }

    fn is_asked(&self) -> bool {
        self.requests.outlet.in_progress() > 0
    }

    /// Reads no more. What is in progress is still answered; what would go on for as long as the stream does, ends.
    fn end_input(&mut self) {
        self.is_over = true;
        self.requests.ahead = Ahead::default();
        self.requests.outlet.order(Order::Stop);
    }

    /// Whether one more request may begin.
    fn has_room(&self) -> bool {
        !self.is_over && self.requests.has_room(self.out.len() - self.sent)
    }

    /// Whether more is to be read: a server that drains answers what it was sent, and one request of who is quiet.
    fn wants_input(&self) -> bool {
        let phase_allows = match self.phase {
            Phase::Serving => true,
            Phase::Draining => !self.was_asked || self.reader.is_midway(),
            Phase::Closing => self.reader.is_midway(),
            Phase::Cancelling => false,
        };
        phase_allows && !self.is_over && !self.is_half_closed && self.requests.ahead.has_room()
    }

    /// Reads once and serves what came.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if !self.wants_input() {
            return Poll::Pending;
        }
        let mut buffer = INPUT.take();
        buffer.resize(READ_BYTES, 0);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buffer);
        let moved = match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(Err(End::Reset)),
            Poll::Ready(Ok(0)) => {
                self.is_half_closed = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(bytes)) => {
                self.core().metrics().bytes_received(bytes);
                let mut input = &buffer[..bytes];
                self.serve(&mut input, cx);
                self.account();
                Poll::Ready(Ok(()))
            }
        };
        INPUT.set(buffer);
        moved
    }

    /// Serves what was read before its turn, as far as there is room now; true when any was, or when it was the last.
    fn take_aside(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !self.requests.ahead.is_empty() && self.has_room() {
            self.has_out();
            if self.requests.take_aside(cx, &mut self.out) == After::Ending {
                self.end_input();
            }
            moved = true;
        }
        if moved {
            self.share.hold(self.held_bytes());
        }
        if self.is_half_closed && !self.is_over && self.requests.ahead.is_empty() {
            self.end_input();
            moved = true;
        }
        moved
    }

    /// Takes the frames that came; those without room are put aside.
    fn serve(&mut self, input: &mut &[u8], cx: &mut Context<'_>) {
        self.has_out();
        while !self.is_over {
            let has_turn = self.has_room() && self.requests.ahead.is_empty();
            match self.reader.next(input) {
                Ok(Some(frame)) => {
                    self.member.note_request();
                    self.was_asked |= self.phase != Phase::Serving;
                    self.waits.has_asked();
                    if !has_turn && self.requests.put_aside(frame) {
                        continue;
                    }
                    if self.requests.take(frame, cx, &mut self.out) == After::Ending {
                        return self.end_input();
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    let kind = match error {
                        FrameError::Empty => ErrorKind::Parse,
                        FrameError::TooLarge { .. } => ErrorKind::FrameTooLarge,
                    };
                    return self.refuse_frame(kind, error.to_string());
                }
            }
        }
    }

    /// Makes sure that there is a buffer for answers.
    fn has_out(&mut self) {
        if self.out.capacity() == 0 {
            self.out = OUTPUT.take();
        }
    }

    /// Refuses a stream that cannot be read on, after what came before.
    fn refuse_frame(&mut self, kind: ErrorKind, sentence: String) {
        if !self.has_room() || !self.requests.ahead.is_empty() {
            return self.requests.ahead.push_broken(kind, sentence);
        }
        self.requests.refuse_frame(kind, sentence, &mut self.out);
        self.end_input();
    }

    /// Counts what the stream holds; a frame that there are no bytes for ends it.
    fn account(&mut self) {
        let held = self.held_bytes();
        if self.share.cover(held) {
            return;
        }
        if self.reader.is_midway() && !self.is_over {
            let max = self.core().shared.limits.max_buffered_bytes;
            let sentence = format!(
                "The server holds as many bytes as max_buffered_bytes allows, which is {max}; try again later"
            );
            self.reader = FrameReader::new(self.core().shared.limits.max_p2p_frame_bytes);
            self.refuse_frame(ErrorKind::BufferedFull, sentence);
        } else {
            self.share.hold(held);
        }
    }

    fn held_bytes(&self) -> usize {
        let unsent = self.out.len() - self.sent + self.requests.outlet.queued_bytes();
        self.reader.held_bytes() + self.requests.ahead.held_bytes() + unsent
    }

    /// Gathers what the calls have to say, and what the peer is told without having asked; true when there was any.
    fn collect(&mut self, cx: &mut Context<'_>) -> bool {
        let collected = self.requests.outlet.collect(&mut self.out);
        let room = self.sent + self.core().shared.limits.max_stream_queue_bytes as usize;
        let told = !self.is_over
            && self.phase == Phase::Serving
            && self.requests.take_notices(cx, &mut self.out, room);
        if self.requests.outlet.take_was_full() && !std::mem::replace(&mut self.was_full, true) {
            self.core().metrics().hit(Limit::StreamQueueBytes);
        }
        collected || told
    }

    /// Sends what there is, as far as the peer reads.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> std::io::Result<()> {
        while self.sent < self.out.len() {
            match Pin::new(&mut self.io).poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => {
                    self.sent += bytes;
                    self.is_unflushed = true;
                    self.waits.has_read();
                    self.core().metrics().bytes_sent(bytes);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        self.give_back_sent();
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(cx)
        {
            flushed?;
            self.is_unflushed = false;
        }
        self.requests.outlet.stage(self.out.len() - self.sent);
        Ok(())
    }

    /// Lets go of what was sent.
    fn give_back_sent(&mut self) {
        if self.sent == self.out.len() {
            self.sent = 0;
            let mut out = std::mem::take(&mut self.out);
            if out.capacity() > 0 {
                out.clear();
                if out.capacity() <= KEPT_BYTES {
                    OUTPUT.set(out);
                }
                self.share.hold(self.held_bytes());
            }
        } else if self.sent >= READ_BYTES && self.sent >= self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Whether everything that is owed was sent, and nothing more is expected.
    fn is_done(&self) -> bool {
        let is_sent = self.out.is_empty() && !self.is_unflushed;
        let is_quiet = is_sent && !self.is_asked() && self.requests.ahead.is_empty();
        let is_last = match self.phase {
            Phase::Serving => self.is_over,
            Phase::Draining => self.is_over || (self.was_asked && !self.reader.is_midway()),
            Phase::Closing => self.is_over || !self.reader.is_midway(),
            Phase::Cancelling => true,
        };
        is_quiet && is_last && self.requests.outlet.queued_bytes() == 0
    }

    fn poll_waits(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let is_midway = self.reader.is_midway();
        let write = !self.out.is_empty() || self.is_unflushed;
        let waiting = Waiting {
            frame: is_midway && self.wants_input(),
            write,
            idle: !is_midway && !write && !self.is_asked() && self.requests.ahead.is_empty(),
            look: self.is_half_closed,
        };
        let core = &self.requests.host.core;
        let Poll::Ready(limit) = self.waits.poll(waiting, &core.shared.limits, cx) else {
            return Poll::Pending;
        };
        core.metrics().hit(limit);
        Poll::Ready(if limit == Limit::P2pStreamIdleTime { End::Close } else { End::Reset })
    }
}
