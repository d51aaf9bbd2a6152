//! The cork between Yamux and Noise: what Yamux writes in one turn of the driver leaves in one message and one send.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};

use super::frames::{Frames, Header};
use super::one_thread::{Flush, Gauge};
use super::shared::Shared;

/// Bytes that become one Noise message at most. Noise would take four times as many; but it keeps, for as long as the
/// connection lives, three buffers as large as the largest message that was ever sent.
const MESSAGE_BYTES: usize = 16 << 10;
/// Bytes that one turn reads at most; then the other tasks of the core have theirs.
const TURN_BYTES: usize = 64 << 10;
/// Data frames with a body that one turn reads at most. What they ask for is answered and sent before more is read, so
/// that the peer works on the first answers while this side works on the next: with the wire's whole content in one turn
/// the two would wait for each other by turns.
const TURN_FRAMES: usize = 8;
/// Bytes that are read and thrown away at most while waiting for the peer to close its side.
const DRAIN_BYTES: usize = 1 << 20;

/// What became of something that Yamux wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastWrite {
    /// Some of it was taken.
    Done,
    /// It has to wait.
    Waits,
}

/// The secured byte stream, as the driver sees it.
#[derive(Debug)]
pub(super) struct Cork<S> {
    secured: S,
    gauge: Rc<Gauge>,
    shared: Rc<Shared>,
    /// Bytes that Noise holds and has not made a message of.
    fresh: usize,
    /// Whether something was written since the last flush that got through.
    dirty: bool,
    /// What this turn may still read.
    turn_bytes: usize,
    turn_frames: usize,
    /// Whether Yamux was asked to wait with its writing, and has not asked to read since.
    holds_up: bool,
    /// What became of the last write since the driver reset this.
    pub(super) last_write: Option<LastWrite>,
    /// Whether it may write nonetheless, until it has answered a ping.
    lets_pass: bool,
    received: Frames,
    sent: Frames,
    drained: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Cork<S> {
    pub(super) fn new(secured: S, gauge: Rc<Gauge>, shared: Rc<Shared>) -> Self {
        gauge.flush.set(Flush::Held);
        Self {
            secured,
            gauge,
            shared,
            fresh: 0,
            // The end of the handshake may still wait to be sent.
            dirty: true,
            turn_bytes: TURN_BYTES,
            turn_frames: TURN_FRAMES,
            holds_up: false,
            last_write: None,
            lets_pass: false,
            received: Frames::default(),
            sent: Frames::default(),
            drained: 0,
        }
    }

    /// Allows one more turn's reading.
    pub(super) fn begin_turn(&mut self) {
        (self.turn_bytes, self.turn_frames) = (TURN_BYTES, TURN_FRAMES);
        (self.holds_up, self.lets_pass) = (false, false);
    }

    /// Whether Yamux does not read because it cannot write: it reads nothing while it owes the answer to a ping. Two
    /// sides that fill the wire between them would so wait for each other for ever. Then its frame and the answer are
    /// let pass, once in a turn; Noise has room for them, and for so much more and no more.
    pub(super) fn let_pass(&mut self) -> bool {
        self.lets_pass = self.holds_up && !self.lets_pass;
        self.lets_pass
    }

    /// Sends all that was written.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.dirty {
            return Poll::Ready(Ok(()));
        }
        self.gauge.flush.set(Flush::Now);
        let flushed = Pin::new(&mut self.secured).poll_flush(cx);
        self.gauge.flush.set(Flush::Held);
        self.shared.note_writing(flushed.is_pending(), self.gauge.progress.get());
        ready!(flushed)?;
        (self.fresh, self.dirty) = (0, false);
        Poll::Ready(Ok(()))
    }

    /// Reads what still comes and forgets it, until the peer has closed its side too. Closing with bytes unread would
    /// have the kernel reset the connection, and what was sent last would be lost.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut forgotten = [0; 1 << 10];
        while self.drained < DRAIN_BYTES {
            match ready!(Pin::new(&mut self.secured).poll_read(cx, &mut forgotten)) {
                Ok(0) | Err(_) => break,
                Ok(read) => self.drained += read,
            }
        }
        Poll::Ready(())
    }

    fn read(&mut self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        self.holds_up = false;
        if self.turn_bytes == 0 || self.turn_frames == 0 && self.received.at_header() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = out.len().min(self.turn_bytes);
        let read = ready!(Pin::new(&mut self.secured).poll_read(cx, &mut out[..room]))?;
        self.turn_bytes -= read;
        let Self { shared, turn_frames, .. } = self;
        self.received.pass(&out[..read], |header| {
            if header.kind == Header::DATA && header.length > 0 {
                *turn_frames = turn_frames.saturating_sub(1);
            }
            shared.unread.came(header);
        });
        Poll::Ready(Ok(read))
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut room = bytes.len();
        if !self.lets_pass {
            if self.fresh >= MESSAGE_BYTES {
                ready!(self.seal(cx))?;
            }
            room = room.min(MESSAGE_BYTES - self.fresh);
        }
        let written = Pin::new(&mut self.secured).poll_write(cx, &bytes[..room]);
        self.holds_up |= written.is_pending();
        let written = ready!(written)?;
        self.fresh += written;
        self.dirty = true;
        let Self { shared, lets_pass, .. } = self;
        self.sent.pass(&bytes[..written], |header| match header.kind {
            Header::PING => *lets_pass = false,
            Header::GO_AWAY => shared.said_go_away.set(true),
            _ => {}
        });
        Poll::Ready(Ok(written))
    }

    /// Makes a message of what was written. Nothing is sent yet where the byte stream has room for it.
    fn seal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sealed = Pin::new(&mut self.secured).poll_flush(cx);
        self.holds_up |= sealed.is_pending();
        self.shared.note_writing(sealed.is_pending(), self.gauge.progress.get());
        ready!(sealed)?;
        self.fresh = 0;
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.flush(cx))?;
        self.gauge.flush.set(Flush::Now);
        Pin::new(&mut self.secured).poll_close(cx)
    }
}

/// The cork, as Yamux sees it: a byte stream whose flush promises nothing.
#[derive(Debug)]
pub(super) struct Corked<S>(pub(super) Rc<RefCell<Cork<S>>>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().read(cx, out)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut cork = self.0.borrow_mut();
        let written = cork.write(cx, bytes);
        cork.last_write = Some(if written.is_pending() { LastWrite::Waits } else { LastWrite::Done });
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver flushes at the end of its turn.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().close(cx)
    }
}
