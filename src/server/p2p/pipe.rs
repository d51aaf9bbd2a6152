//! Two ends of a stream in memory, as libp2p's are: each side closes for itself, and dropping an end resets it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};

#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    is_closed: bool,
    is_reset: bool,
    wakers: Vec<Waker>,
}

/// One end.
pub(crate) struct End {
    reads: Rc<RefCell<Way>>,
    writes: Rc<RefCell<Way>>,
    window: usize,
}

/// Two ends; the second is held back at `window` bytes that the first has not read.
pub(crate) fn pipe(window: usize) -> (End, End) {
    let (one, other) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
    let near = End { reads: one.clone(), writes: other.clone(), window: usize::MAX };
    (near, End { reads: other, writes: one, window })
}

fn wake(way: &RefCell<Way>) {
    let wakers = std::mem::take(&mut way.borrow_mut().wakers);
    wakers.into_iter().for_each(Waker::wake);
}

impl End {
    /// Bytes that the other end has sent and this one has not read.
    pub(crate) fn unread(&self) -> usize {
        self.reads.borrow().bytes.len()
    }

    /// Bytes that this end has sent and the other one has not read.
    pub(crate) fn unread_there(&self) -> usize {
        self.writes.borrow().bytes.len()
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut way = self.reads.borrow_mut();
        if way.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let count = way.bytes.len().min(out.len());
        if count == 0 {
            if way.is_closed {
                return Poll::Ready(Ok(0));
            }
            way.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        for (slot, byte) in out.iter_mut().zip(way.bytes.drain(..count)) {
            *slot = byte;
        }
        drop(way);
        wake(&self.reads);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut way = self.writes.borrow_mut();
        if way.is_reset || way.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = (self.window - way.bytes.len()).min(bytes.len());
        if count == 0 {
            way.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&bytes[..count]);
        drop(way);
        wake(&self.writes);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes.borrow_mut().is_closed = true;
        wake(&self.writes);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.writes.borrow().is_closed {
            self.writes.borrow_mut().is_reset = true;
        }
        self.reads.borrow_mut().is_reset = true;
        wake(&self.writes);
        wake(&self.reads);
    }
}
