//! Two streams joined in memory, for tests of one executor: what one end writes, the other reads.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};

/// Bytes that one direction holds; then a writer waits for the reader.
const CAPACITY: usize = 64;

#[derive(Debug, Default)]
struct Direction {
    bytes: VecDeque<u8>,
    closed: bool,
    waiting: Vec<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// One end. Dropping it ends both directions.
#[derive(Debug)]
pub(crate) struct Pipe {
    inbound: Rc<RefCell<Direction>>,
    outbound: Rc<RefCell<Direction>>,
}

/// Both ends of a connection that holds 64 bytes in each direction.
pub(crate) fn pipe() -> (Pipe, Pipe) {
    let (one, other) = (Rc::<RefCell<Direction>>::default(), Rc::<RefCell<Direction>>::default());
    (Pipe { inbound: one.clone(), outbound: other.clone() }, Pipe { inbound: other, outbound: one })
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for direction in [&self.inbound, &self.outbound] {
            let mut direction = direction.borrow_mut();
            direction.closed = true;
            direction.wake();
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inbound = self.inbound.borrow_mut();
        if inbound.bytes.is_empty() && !inbound.closed && !out.is_empty() {
            inbound.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        let len = out.len().min(inbound.bytes.len());
        for (to, from) in out.iter_mut().zip(inbound.bytes.drain(..len)) {
            *to = from;
        }
        inbound.wake();
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut outbound = self.outbound.borrow_mut();
        if outbound.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = bytes.len().min(CAPACITY - outbound.bytes.len());
        if len == 0 && !bytes.is_empty() {
            outbound.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        outbound.bytes.extend(&bytes[..len]);
        outbound.wake();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outbound = self.outbound.borrow_mut();
        outbound.closed = true;
        outbound.wake();
        Poll::Ready(Ok(()))
    }
}
