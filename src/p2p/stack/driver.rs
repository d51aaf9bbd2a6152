//! The one task of a connection: it alone polls Yamux, hands streams out, and sends at the end of each turn.

use std::fmt;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};

use super::cork::Cork;
use super::error::ConnectionError;
use super::handle::{Handle, Opener, Wish};
use super::stream::{Counted, InboundStream};
use super::upgrade::Secured;

/// A peer whose streams are refused this often in a row floods.
const FLOOD: u64 = 4_096;

/// Runs a connection. Dropping it ends the connection at once.
pub struct Driver<Io> {
    connection: yamux::Connection<Cork<Secured<Io>>>,
    cork: Cork<Secured<Io>>,
    handle: Handle,
    refused_in_a_row: u64,
}

impl<Io> Driver<Io>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    pub(super) fn new(
        connection: yamux::Connection<Cork<Secured<Io>>>,
        cork: Cork<Secured<Io>>,
        handle: Handle,
    ) -> Self {
        Self { connection, cork, handle, refused_in_a_row: 0 }
    }

    /// Runs the connection to its end. `inbound` gets each stream that the peer opens; it must not wait.
    ///
    /// # Errors
    /// [`ConnectionError`] unless the connection ended in order.
    pub async fn run(mut self, mut inbound: impl FnMut(InboundStream)) -> Result<(), ConnectionError> {
        poll_fn(|cx| self.turn(cx, &mut inbound)).await
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        inbound: &mut impl FnMut(InboundStream),
    ) -> Poll<Result<(), ConnectionError>> {
        self.register(cx);
        match self.handle.shared.wish.get() {
            Wish::Abort => return Poll::Ready(Err(ConnectionError::Aborted)),
            Wish::Close => return self.close(cx),
            Wish::Stay => {}
        }
        self.open_streams(cx)?;
        let mut taken = 0;
        while let Poll::Ready(next) = self.connection.poll_next_inbound(cx) {
            match next {
                Some(Ok(stream)) => self.take(stream, inbound)?,
                Some(Err(error)) => return Poll::Ready(ConnectionError::of(error).map_or(Ok(()), Err)),
                None => return Poll::Ready(Ok(())),
            }
            taken += 1;
            if taken >= self.handle.shared.max_streams {
                // A peer that goes on opening streams shares the core.
                cx.waker().wake_by_ref();
                break;
            }
        }
        match self.send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    /// Sends what the turn gathered.
    fn send(&self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let sent = self.cork.poll_send(cx);
        self.handle.shared.progress.set(self.cork.progress());
        self.handle.shared.stalled.set(sent.is_pending());
        sent.map_err(ConnectionError::of_io)
    }

    fn register(&self, cx: &Context<'_>) {
        let mut driver = self.handle.shared.driver.borrow_mut();
        match &mut *driver {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let closed = self.connection.poll_close(cx);
        if let Poll::Ready(result) = closed {
            return Poll::Ready(result.or_else(|error| ConnectionError::of(error).map_or(Ok(()), Err)));
        }
        match self.send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    /// Gives those who wait for a stream theirs.
    fn open_streams(&mut self, cx: &mut Context<'_>) -> Result<(), ConnectionError> {
        while let Some(opener) = self.next_opener() {
            match self.connection.poll_new_outbound(cx) {
                Poll::Ready(Ok(stream)) => {
                    *opener.stream.borrow_mut() = Some(stream);
                    let waker = opener.waker.take();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                Poll::Ready(Err(error)) => return ConnectionError::of(error).map_or(Ok(()), Err),
                Poll::Pending => {
                    self.handle.shared.openers.borrow_mut().push_front(Rc::downgrade(&opener));
                    break;
                }
            }
        }
        Ok(())
    }

    /// The first who still waits.
    fn next_opener(&self) -> Option<Rc<Opener>> {
        let mut openers = self.handle.shared.openers.borrow_mut();
        while let Some(opener) = openers.pop_front() {
            if let Some(opener) = Weak::upgrade(&opener) {
                return Some(opener);
            }
        }
        None
    }

    fn take(
        &mut self,
        stream: yamux::Stream,
        inbound: &mut impl FnMut(InboundStream),
    ) -> Result<(), ConnectionError> {
        let shared = &self.handle.shared;
        if shared.streams.get() < shared.max_streams {
            self.refused_in_a_row = 0;
            inbound(InboundStream { stream, counted: Counted::new(&shared.streams) });
            return Ok(());
        }
        // Dropping it resets it.
        drop(stream);
        shared.refused.set(shared.refused.get() + 1);
        self.refused_in_a_row += 1;
        match self.refused_in_a_row > FLOOD {
            true => Err(ConnectionError::Flooded { max_streams: shared.max_streams }),
            false => Ok(()),
        }
    }
}

impl<Io> Drop for Driver<Io> {
    fn drop(&mut self) {
        self.handle.note_end();
    }
}

impl<Io> fmt::Debug for Driver<Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("handle", &self.handle).finish_non_exhaustive()
    }
}
