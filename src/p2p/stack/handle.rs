//! What the users of a connection hold: they open streams and end the connection; the driver does it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use event_listener::Event;

use super::error::OpenError;
use super::stream::{Counted, PeerStream};

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    Close,
    Abort,
}

/// Somebody who waits for a stream.
#[derive(Default)]
pub(super) struct Opener {
    pub(super) stream: RefCell<Option<yamux::Stream>>,
    pub(super) waker: RefCell<Option<Waker>>,
}

/// A handle on a connection of this core. Clones are handles on the same one; dropping them all does not end it.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Rc<Shared>,
}

/// What the handles and the driver share.
pub(super) struct Shared {
    pub(super) max_streams: usize,
    pub(super) streams: Rc<Cell<usize>>,
    pub(super) refused: Cell<u64>,
    pub(super) openers: RefCell<VecDeque<Weak<Opener>>>,
    pub(super) wish: Cell<Wish>,
    pub(super) closed: Cell<bool>,
    pub(super) ended: Event,
    pub(super) stalled: Cell<bool>,
    pub(super) progress: Cell<u64>,
    pub(super) driver: RefCell<Option<Waker>>,
}

impl Shared {
    pub(super) fn wake_driver(&self) {
        let waker = self.driver.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Handle {
    pub(super) fn new(max_streams: usize) -> Self {
        let shared = Shared {
            max_streams,
            streams: Rc::default(),
            refused: Cell::new(0),
            openers: RefCell::default(),
            wish: Cell::new(Wish::Stay),
            closed: Cell::new(false),
            ended: Event::new(),
            stalled: Cell::new(false),
            progress: Cell::new(0),
            driver: RefCell::new(None),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Opens a stream for one of the protocols; the second value is its index.
    ///
    /// A single protocol is taken for granted: it is proposed together with the first bytes that are written, and a
    /// refusal shows as an error of the first read. Of several, the peer's choice is waited for. Cancel safe.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, protocols: &'static [&'static str]) -> Result<(PeerStream, usize), OpenError> {
        let shared = &self.shared;
        if self.is_ending() {
            return Err(OpenError::Closed);
        }
        if shared.streams.get() >= shared.max_streams {
            return Err(OpenError::TooManyStreams { max_streams: shared.max_streams });
        }
        let counted = Counted::new(&shared.streams);
        let opener = Rc::new(Opener::default());
        shared.openers.borrow_mut().push_back(Rc::downgrade(&opener));
        shared.wake_driver();
        let stream = poll_fn(|cx| {
            if let Some(stream) = opener.stream.borrow_mut().take() {
                return Poll::Ready(Ok(stream));
            }
            if self.is_ending() {
                return Poll::Ready(Err(OpenError::Closed));
            }
            *opener.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await?;
        PeerStream::propose(stream, counted, protocols).await.map_err(OpenError::Negotiate)
    }

    /// Streams that are open or being opened, by either side.
    pub fn streams(&self) -> usize {
        self.shared.streams.get()
    }

    /// Streams of the peer that were reset because there were too many, since the start.
    pub fn refused_streams(&self) -> u64 {
        self.shared.refused.get()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get()
    }

    /// Whether the connection has ended or was told to.
    pub fn is_ending(&self) -> bool {
        self.is_closed() || self.shared.wish.get() != Wish::Stay
    }

    /// Ends the connection in order: what was written is sent, and the peer is told.
    pub fn close(&self) {
        if self.shared.wish.get() == Wish::Stay {
            self.shared.wish.set(Wish::Close);
            self.shared.wake_driver();
        }
    }

    /// Ends the connection at once.
    pub fn abort(&self) {
        self.shared.wish.set(Wish::Abort);
        self.shared.wake_driver();
    }

    /// Resolves once the connection has ended.
    pub async fn closed(&self) {
        while !self.is_closed() {
            let ended = self.shared.ended.listen();
            if !self.is_closed() {
                ended.await;
            }
        }
    }

    /// While the peer does not take what this side has to send: a number that changes whenever it takes some. `None`
    /// when nothing waits. Whoever has a clock can so give a peer up that stopped reading.
    pub fn stalled(&self) -> Option<u64> {
        self.shared.stalled.get().then(|| self.shared.progress.get())
    }

    /// Wakes everybody who waits for the end.
    pub(super) fn note_end(&self) {
        let shared = &self.shared;
        shared.closed.set(true);
        let openers = shared.openers.take();
        for opener in openers.iter().filter_map(Weak::upgrade) {
            let waker = opener.waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        shared.ended.notify(usize::MAX);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("streams", &self.streams())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
