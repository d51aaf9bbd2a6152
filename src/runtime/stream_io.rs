//! A [`Stream`] for code that wants `AsyncRead` and `AsyncWrite`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};

use super::buf::{self, Buf};
use super::stream::Stream;

/// Bytes staged on a stream before the adapter sends them unasked.
const STAGE_BYTES: usize = 64 << 10;

/// The adapter: it copies, and it stages small writes until they are flushed.
#[derive(Debug)]
pub struct AsyncStream {
    stream: Stream,
    /// What was read and not yet asked for, and how much of it is used up.
    unread: Option<(Buf, usize)>,
    /// Small writes are gathered here before they are staged.
    pending: Vec<u8>,
}

impl AsyncStream {
    /// Wraps a stream.
    pub fn new(stream: Stream) -> Self {
        Self { stream, unread: None, pending: Vec::new() }
    }

    /// Wraps a stream of which `read_ahead` was read already: it is what the adapter gives out first.
    pub fn with_read_ahead(stream: Stream, read_ahead: Buf) -> Self {
        let unread = (!read_ahead.is_empty()).then_some((read_ahead, 0));
        Self { stream, unread, pending: Vec::new() }
    }

    /// Bytes that were written and that the kernel has not taken yet.
    pub fn unsent(&self) -> usize {
        self.pending.len() + self.stream.staged()
    }

    /// The other side's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    /// Ends the connection with a reset, see [`Stream::abort`].
    pub fn abort(self) {
        self.stream.abort();
    }

    /// The stream underneath. Bytes read ahead are lost to it, so take it back only between messages.
    pub fn into_inner(mut self) -> Stream {
        self.stage();
        self.stream
    }

    fn stage(&mut self) {
        if !self.pending.is_empty() {
            self.pending = self.stream.write(std::mem::take(&mut self.pending));
        }
    }
}

impl AsyncRead for AsyncStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (buf, used) = match this.unread.take() {
            Some(unread) => unread,
            None => (ready!(this.stream.poll_read(cx))?, 0),
        };
        let len = out.len().min(buf.len() - used);
        out[..len].copy_from_slice(&buf[used..used + len]);
        if used + len < buf.len() {
            this.unread = Some((buf, used + len));
        }
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for AsyncStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.unsent() >= STAGE_BYTES {
            this.stage();
            ready!(this.stream.poll_flush(cx))?;
        }
        if this.pending.capacity() == 0 {
            this.pending = buf::lend_vec();
        }
        let len = bytes.len().min(STAGE_BYTES);
        this.pending.extend_from_slice(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.stage();
        ready!(this.stream.poll_flush(cx))?;
        // A connection that is idle keeps no buffer from the others.
        buf::give_back_vec(std::mem::take(&mut this.pending));
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready(self.stream.shutdown_write())
    }
}
