//! One stream of a connection, from its first byte: what it speaks, and then what is said on it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};

use super::error::NegotiateError;
use super::multistream::{Dialer, Listener};
use super::shared::Place;

/// Bytes that a negotiation reads at once at most. Most requests come whole with the proposal, and each read of a Yamux
/// stream has its price.
const AHEAD_BYTES: usize = 512;
/// Bytes of one write that go out together with what is owed from the negotiation.
const JOINED_BYTES: usize = 8 << 10;

/// A Yamux stream and its place. Dropping it resets the stream unless both sides have closed it; of a stream that only
/// the peer has closed, Yamux closes the other side instead.
#[derive(Debug)]
struct Raw {
    stream: yamux::Stream,
    place: Place,
    /// Bytes of the negotiation that are still to be written. They go out with the first write, and at the latest when
    /// the reader waits.
    owed: Vec<u8>,
    /// What came with the negotiation and does not belong to it.
    ahead: VecDeque<u8>,
}

impl Raw {
    fn new(stream: yamux::Stream, place: Place, owed: Vec<u8>) -> Self {
        Self { stream, place, owed, ahead: VecDeque::new() }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.ahead.is_empty() { self.poll_stream(cx, out) } else { Poll::Ready(self.take_ahead(out)) }
    }

    fn take_ahead(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let taken = io::Read::read(&mut self.ahead, out)?;
        if self.ahead.is_empty() {
            self.ahead = VecDeque::new();
        }
        Ok(taken)
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let (unread, number) = (&self.place.shared.unread, self.place.stream);
        match Pin::new(&mut self.stream).poll_read(cx, out) {
            Poll::Ready(Ok(0)) if !unread.is_finished(number) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset")))
            }
            Poll::Ready(Ok(read)) => {
                unread.read(number, read);
                Poll::Ready(Ok(read))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(reset())),
            Poll::Pending => match self.poll_owed(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            },
        }
    }

    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.owed.is_empty() {
            let written =
                ready!(Pin::new(&mut self.stream).poll_write(cx, &self.owed)).map_err(|_| reset())?;
            self.owed.drain(..written);
        }
        self.owed = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while !self.owed.is_empty() {
            let owed = self.owed.len();
            self.owed.extend_from_slice(&bytes[..bytes.len().min(JOINED_BYTES)]);
            let written = Pin::new(&mut self.stream).poll_write(cx, &self.owed);
            self.owed.truncate(owed);
            let written = ready!(written).map_err(|_| reset())?;
            self.owed.drain(..written.min(owed));
            if written > owed {
                self.owed = Vec::new();
                return Poll::Ready(Ok(written - owed));
            }
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes).map_err(|_| reset())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_owed(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|_| reset())
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.stream.is_closed() {
            ready!(self.poll_owed(cx))?;
        }
        Pin::new(&mut self.stream).poll_close(cx).map_err(|_| reset())
    }

    /// Reads what the negotiation wants next, of which there may be a long line.
    fn poll_wanted<'a>(
        &mut self,
        cx: &mut Context<'_>,
        wants: usize,
        buffer: &'a mut [u8; 128],
    ) -> Poll<io::Result<&'a [u8]>> {
        if self.ahead.is_empty() {
            let mut ahead = [0; AHEAD_BYTES];
            match ready!(self.poll_stream(cx, &mut ahead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                read => self.ahead.extend(&ahead[..read]),
            }
        }
        let wants = wants.min(buffer.len());
        let read = self.take_ahead(&mut buffer[..wants])?;
        Poll::Ready(Ok(&buffer[..read]))
    }
}

fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the stream was reset, or its connection has ended")
}

/// A stream that a peer has opened. Dropping it resets it.
#[derive(Debug)]
pub struct InboundStream(Raw);

impl InboundStream {
    pub(super) fn new(stream: yamux::Stream, place: Place) -> Self {
        Self(Raw::new(stream, place, Vec::new()))
    }

    /// Agrees with the peer on one of `protocols` and gives its index. Bounded in bytes and in rounds, not in time.
    ///
    /// The answer leaves with the first bytes that are written, or as soon as a read has to wait.
    ///
    /// # Errors
    /// [`NegotiateError`]; the stream is gone then.
    pub async fn negotiate(self, protocols: &[&'static str]) -> Result<(PeerStream, usize), NegotiateError> {
        let Self(mut raw) = self;
        let mut listener = Listener::begin();
        let agreed = poll_fn(|cx| poll_listen(&mut raw, &mut listener, protocols, cx)).await?;
        Ok((PeerStream { raw, expects: None }, agreed))
    }
}

fn poll_listen(
    raw: &mut Raw,
    listener: &mut Listener,
    protocols: &[&'static str],
    cx: &mut Context<'_>,
) -> Poll<Result<usize, NegotiateError>> {
    let mut buffer = [0; 128];
    loop {
        if listener.refused() {
            ready!(raw.poll_owed(cx)).map_err(NegotiateError::Io)?;
        }
        let bytes = match ready!(raw.poll_wanted(cx, listener.wants(), &mut buffer)) {
            // A dialer that had no more to propose.
            Err(_) if listener.refused() => return Poll::Ready(Err(NegotiateError::Refused)),
            bytes => bytes.map_err(NegotiateError::Io)?,
        };
        if let Some(agreed) = listener.give(bytes, protocols, &mut raw.owed)? {
            return Poll::Ready(Ok(agreed));
        }
    }
}

/// One stream of a connection, whose protocol is agreed on or proposed. Dropping it resets it unless both sides have
/// closed it.
///
/// A read that finds the stream reset fails with [`io::ErrorKind::ConnectionReset`]; the end of what the peer has to
/// say is 0 bytes. Where the protocol was proposed and not waited for, the first read may fail with
/// [`io::ErrorKind::Unsupported`]: the peer does not speak it.
#[derive(Debug)]
pub struct PeerStream {
    raw: Raw,
    /// The proposal that the peer has yet to accept.
    expects: Option<Dialer>,
}

impl PeerStream {
    pub(super) fn dial(
        stream: yamux::Stream,
        place: Place,
        protocols: &'static [&'static str],
    ) -> Result<Self, NegotiateError> {
        let mut owed = Vec::new();
        let expects = Dialer::begin(protocols, &mut owed).ok_or(NegotiateError::Refused)?;
        Ok(Self { raw: Raw::new(stream, place, owed), expects: Some(expects) })
    }

    /// Waits until the peer has accepted one of the protocols, and gives its index.
    pub(super) async fn agree(&mut self) -> Result<usize, NegotiateError> {
        poll_fn(|cx| self.poll_agree(cx)).await
    }

    fn poll_agree(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NegotiateError>> {
        let Some(dialer) = &mut self.expects else { return Poll::Ready(Ok(0)) };
        let mut buffer = [0; 128];
        loop {
            let bytes = ready!(self.raw.poll_wanted(cx, dialer.wants(), &mut buffer));
            let bytes = bytes.map_err(NegotiateError::Io)?;
            if let Some(agreed) = dialer.give(bytes, &mut self.raw.owed)? {
                self.expects = None;
                return Poll::Ready(Ok(agreed));
            }
        }
    }

    /// Ends the stream in both directions. What was written and not yet sent may be lost.
    pub fn reset(self) {}
}

/// A proposal that came to nothing, as an error of the stream.
fn not_agreed(protocol: &str, error: NegotiateError) -> io::Error {
    match error {
        NegotiateError::Io(error) => error,
        NegotiateError::Refused => {
            io::Error::new(io::ErrorKind::Unsupported, format!("the peer does not speak {protocol}"))
        }
        NegotiateError::Violation(_) => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(dialer) = &self.expects {
            let protocol = dialer.proposed();
            ready!(self.poll_agree(cx)).map_err(|error| not_agreed(protocol, error))?;
        }
        self.raw.poll_read(cx, out)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.raw.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.raw.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.raw.poll_close(cx)
    }
}
