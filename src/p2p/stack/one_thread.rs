//! The byte stream below Noise: it satisfies Noise's wish for `Send` and decides when a flush reaches it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use send_wrapper::SendWrapper;

/// What a flush does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// It is remembered, and done when the reader would wait: the way of a handshake, where one task does both.
    BeforeReading,
    /// It is remembered, and done when the driver says so.
    Held,
    /// It is done.
    Now,
}

/// What the layers above know of the byte stream, and tell it.
#[derive(Debug)]
pub(super) struct Gauge {
    pub(super) flush: Cell<Flush>,
    owed: Cell<bool>,
    /// Grows whenever the byte stream takes bytes.
    pub(super) progress: Cell<u64>,
}

impl Gauge {
    fn took(&self) {
        self.progress.set(self.progress.get().wrapping_add(1));
    }
}

/// A byte stream that claims to be `Send` and panics when it is used on another thread than the one that made it.
#[derive(Debug)]
pub(super) struct OneThread<Io>(SendWrapper<Held<Io>>);

#[derive(Debug)]
struct Held<Io> {
    io: Io,
    gauge: Rc<Gauge>,
}

impl<Io> OneThread<Io> {
    pub(super) fn new(io: Io) -> (Self, Rc<Gauge>) {
        let gauge = Rc::new(Gauge {
            flush: Cell::new(Flush::BeforeReading),
            owed: Cell::new(false),
            progress: Cell::new(0),
        });
        (Self(SendWrapper::new(Held { io, gauge: gauge.clone() })), gauge)
    }
}

impl<Io: AsyncWrite + Unpin> Held<Io> {
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.gauge.owed.set(false);
        self.gauge.took();
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for OneThread<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let held = &mut *self.0;
        let read = Pin::new(&mut held.io).poll_read(cx, out);
        let waits = read.is_pending() && held.gauge.flush.get() == Flush::BeforeReading;
        if waits && held.gauge.owed.get() {
            // Whether it is done or goes on, the task waits for what it reads.
            if let Poll::Ready(Err(error)) = held.flush(cx) {
                return Poll::Ready(Err(error));
            }
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for OneThread<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let held = &mut *self.0;
        let written = ready!(Pin::new(&mut held.io).poll_write(cx, bytes))?;
        held.gauge.owed.set(true);
        held.gauge.took();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.gauge.flush.get() {
            Flush::Now => self.0.flush(cx),
            Flush::BeforeReading | Flush::Held => Poll::Ready(Ok(())),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.io).poll_close(cx)
    }
}
