//! The byte stream below Noise, which asks for `Send`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use send_wrapper::SendWrapper;

/// A byte stream that claims to be `Send` and panics when it is used on another thread than the one that made it.
#[derive(Debug)]
pub(super) struct OneThread<Io>(SendWrapper<Io>);

impl<Io> OneThread<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self(SendWrapper::new(io))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for OneThread<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_read(cx, out)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for OneThread<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_close(cx)
    }
}
