//! The cork between Yamux and Noise: what Yamux writes is held until the driver's turn ends.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};

/// Bytes that are held at most; past it Yamux waits for the peer to read.
const HELD_BYTES: usize = 64 << 10;
/// A buffer that has grown past this is given back once it is empty, so that an idle connection holds little.
const KEPT_BYTES: usize = 4 << 10;

/// What Yamux writes to and reads from. Clones share the stream, so that the driver can flush what Yamux owns.
#[derive(Debug)]
pub(super) struct Cork<S>(Rc<RefCell<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    held: Vec<u8>,
    taken: usize,
    owes_flush: bool,
    progress: u64,
}

impl<S> Cork<S> {
    pub(super) fn new(stream: S) -> Self {
        let inner = Inner { stream, held: Vec::new(), taken: 0, owes_flush: true, progress: 0 };
        Self(Rc::new(RefCell::new(inner)))
    }

    /// A number that changes whenever the stream takes bytes.
    pub(super) fn progress(&self) -> u64 {
        self.0.borrow().progress
    }
}

impl<S> Clone for Cork<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Sends what is held.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(inner.drain(cx))?;
        if inner.owes_flush {
            ready!(Pin::new(&mut inner.stream).poll_flush(cx))?;
            inner.owes_flush = false;
            inner.progress += 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.held.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held[self.taken..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += sent;
            self.owes_flush = true;
            self.progress += 1;
        }
        self.taken = 0;
        self.held.clear();
        self.held.shrink_to(KEPT_BYTES);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cork<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        if inner.held.len() >= HELD_BYTES {
            ready!(inner.drain(cx))?;
        }
        let len = bytes.len().min(HELD_BYTES);
        inner.held.extend_from_slice(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    /// Holds: the driver sends.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.0.borrow_mut().stream).poll_close(cx)
    }
}
