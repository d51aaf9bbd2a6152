//! The byte stream under a connection: it ends without a reset for what the peer still sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};

use crate::runtime::{AsyncStream, Deadline};

/// After our end this much of what the peer still sends is read and thrown away, so that the reset that unread bytes would
/// cause does not destroy an answer on its way.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// A socket whose orderly close waits for the peer's end, for a while.
#[derive(Debug)]
pub(super) struct Wire {
    stream: AsyncStream,
    lingering: Option<(Deadline, usize)>,
}

impl Wire {
    pub(super) fn new(stream: AsyncStream) -> Wire {
        Wire { stream, lingering: None }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, out)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_close(cx))?;
            let deadline = Deadline::new();
            deadline.set_after(LINGER_TIME);
            this.lingering = Some((deadline, LINGER_BYTES));
        }
        let Some((deadline, rest)) = &mut this.lingering else { return Poll::Ready(Ok(())) };
        let mut scratch = [0; 4 << 10];
        while *rest > 0 {
            match Pin::new(&mut this.stream).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => *rest = rest.saturating_sub(bytes),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return deadline.poll_expired(cx).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}
