//! The streams of a connection.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use multistream_select::{Negotiated, Version, dialer_select_proto, listener_select_proto};

use super::error::NegotiateError;

/// Counts a stream for as long as it is open.
#[derive(Debug)]
pub(super) struct Counted(Rc<Cell<usize>>);

impl Counted {
    pub(super) fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A stream that the peer opened, before its protocol is agreed. Dropping it resets it.
#[derive(Debug)]
pub struct InboundStream {
    pub(super) stream: yamux::Stream,
    pub(super) counted: Counted,
}

impl InboundStream {
    /// Agrees on one of the protocols; the second value is its index. What is sent in a proposal is bounded, how long it
    /// takes is not.
    ///
    /// # Errors
    /// [`NegotiateError`]; the stream is reset.
    pub async fn negotiate(self, protocols: &[&'static str]) -> Result<(PeerStream, usize), NegotiateError> {
        let names = protocols.iter().copied();
        let (name, inner) = listener_select_proto(self.stream, names).await?;
        Ok((PeerStream { inner, _counted: self.counted }, index_of(protocols, name)))
    }
}

/// One stream of a connection. Dropping it resets it, unless this side has closed it.
#[derive(Debug)]
pub struct PeerStream {
    inner: Negotiated<yamux::Stream>,
    _counted: Counted,
}

impl PeerStream {
    /// Proposes protocols on a stream that this side opened. A single one is taken for granted until the first read.
    pub(super) async fn propose(
        stream: yamux::Stream,
        counted: Counted,
        protocols: &'static [&'static str],
    ) -> Result<(Self, usize), NegotiateError> {
        let names = protocols.iter().copied();
        let (name, inner) = dialer_select_proto(stream, names, Version::V1Lazy).await?;
        Ok((PeerStream { inner, _counted: counted }, index_of(protocols, name)))
    }

    /// Ends the stream at once, in both directions.
    pub fn reset(self) {}
}

fn index_of(protocols: &[&'static str], name: &str) -> usize {
    protocols
        .iter()
        .position(|known| *known == name)
        .expect("invariant: what is agreed on was one of those proposed")
}

impl AsyncRead for PeerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, out)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
