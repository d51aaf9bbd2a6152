//! A wire in memory: it breaks what it carries into pieces, hesitates, holds so much and no more, and can be cut.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};

use super::sim::Sim;

/// How a wire behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Bytes on their way at most, in each direction.
    pub(super) holds: usize,
    /// Bytes that one read returns at most, drawn anew each time.
    pub(super) piece: usize,
    /// One in so many polls waits although it need not; 0 is none.
    pub(super) hesitates: usize,
    /// Bytes from the dialer, and from the listener, after which the wire is cut.
    pub(super) cut: [Option<usize>; 2],
    /// The byte of the dialer, or of the listener, that arrives with one bit changed.
    pub(super) spoiled: [Option<usize>; 2],
}

impl Link {
    pub(super) const PLAIN: Self =
        Self { holds: 1 << 20, piece: usize::MAX, hesitates: 0, cut: [None; 2], spoiled: [None; 2] };
    pub(super) const ROUGH: Self = Self { holds: 10_000, piece: 5_000, hesitates: 4, ..Self::PLAIN };
    pub(super) const TINY: Self = Self { holds: 50, piece: 20, hesitates: 3, ..Self::PLAIN };
}

#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    carried: usize,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    sends: usize,
}

/// What a test sees of a wire, and does to it.
#[derive(Clone)]
pub(super) struct Tap(Rc<[RefCell<Way>; 2]>, Rc<Cell<bool>>);

impl Tap {
    /// Sends so far: of the dialer, and of the listener.
    pub(super) fn sends(&self) -> [usize; 2] {
        [self.0[0].borrow().sends, self.0[1].borrow().sends]
    }

    /// Bytes so far: of the dialer, and of the listener.
    pub(super) fn carried(&self) -> [usize; 2] {
        [self.0[0].borrow().carried, self.0[1].borrow().carried]
    }

    /// Lets nothing arrive any more, or again what does.
    pub(super) fn block(&self, blocked: bool) {
        self.1.set(blocked);
        for way in self.0.iter() {
            let reader = way.borrow_mut().reader.take();
            reader.into_iter().for_each(Waker::wake);
        }
    }
}

/// One end of a wire. What is written is sent when it is flushed, or is a lot.
pub(super) struct End {
    sim: Sim,
    link: Link,
    ways: Tap,
    /// Which way this end writes.
    out: usize,
    staged: Vec<u8>,
}

/// The dialer's end and the listener's.
pub(super) fn wire(sim: &Sim, link: Link) -> (End, End) {
    let ways = Tap(Rc::default(), Rc::default());
    let end = |out| End { sim: sim.clone(), link, ways: ways.clone(), out, staged: Vec::new() };
    (end(0), end(1))
}

impl End {
    pub(super) fn tap(&self) -> Tap {
        self.ways.clone()
    }

    fn hesitates(&self, cx: &mut Context<'_>) -> bool {
        let hesitates = self.link.hesitates > 0 && self.sim.below(self.link.hesitates) == 0;
        if hesitates {
            cx.waker().wake_by_ref();
        }
        hesitates
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.staged.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        let mut way = self.ways.0[self.out].borrow_mut();
        if way.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let left = self.link.cut[self.out].map_or(usize::MAX, |cut| cut - way.carried);
        let room = (self.link.holds - way.bytes.len()).min(self.staged.len()).min(left);
        let spoiled = self.link.spoiled[self.out];
        for byte in self.staged.drain(..room) {
            let spoils = if spoiled == Some(way.carried) { 1 << (way.carried % 8) } else { 0 };
            way.bytes.push_back(byte ^ spoils);
            way.carried += 1;
        }
        way.sends += usize::from(room > 0);
        way.ended |= room == left;
        way.reader.take().into_iter().for_each(Waker::wake);
        if way.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.staged.is_empty() {
            return Poll::Ready(Ok(()));
        }
        way.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        let mut way = self.ways.0[1 - self.out].borrow_mut();
        if self.ways.1.get() || way.bytes.is_empty() && !way.ended {
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let piece = 1 + self.sim.below(self.link.piece);
        let read = out.len().min(way.bytes.len()).min(piece);
        for (place, byte) in out.iter_mut().zip(way.bytes.drain(..read)) {
            *place = byte;
        }
        way.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.staged.len() >= 64 << 10 {
            std::task::ready!(self.send(cx))?;
        }
        self.staged.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.send(cx))?;
        let mut way = self.ways.0[self.out].borrow_mut();
        way.ended = true;
        way.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        for way in self.ways.0.iter() {
            let mut way = way.borrow_mut();
            way.ended = true;
            let wakers = [way.reader.take(), way.writer.take()];
            drop(way);
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}
