//! What the driver of a connection, its handles and its streams know together.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use event_listener::Event;

use super::unread::Unread;

/// The number of the last stream that is opened on a connection; then it ends in good order. Yamux has no numbers beyond
/// 32 bits, and would reset every stream when it runs out of them.
const LAST_STREAM: u32 = u32::MAX - 16;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Streams may be opened.
    Open,
    /// No new streams; it ends when the open ones have.
    Closing,
    /// It is to end at once.
    Aborted,
    /// It has ended.
    Ended,
}

/// Who opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    Us,
    Peer,
}

#[derive(Debug)]
pub(super) struct Shared {
    stage: Cell<Stage>,
    pub(super) max_streams: usize,
    /// Streams open, by who opened them.
    streams: [Cell<usize>; 2],
    /// Streams of ours since the driver had its last turn: Yamux learns of the end of a stream only in such a turn.
    pub(super) opened_in_turn: Cell<usize>,
    pub(super) last_stream: Cell<u32>,
    pub(super) refused: Cell<u64>,
    pub(super) unread: Unread,
    /// Yamux found the peer at fault and said so.
    pub(super) said_go_away: Cell<bool>,
    /// Since when bytes wait to be sent: what the progress was then.
    stalled: Cell<Option<u64>>,
    driver: RefCell<Option<Waker>>,
    /// Streams that ended while nothing could be sent. Yamux keeps them, and what came on them, until it can.
    lingering: RefCell<Vec<(Opener, u32)>>,
    /// Openers that wait for a stream.
    pub(super) waiting: Cell<usize>,
    pub(super) room: Event,
    pub(super) ended: Event,
}

impl Shared {
    pub(super) fn new(max_streams: usize, max_unread_bytes: usize) -> Self {
        Self {
            stage: Cell::new(Stage::Open),
            max_streams,
            streams: [Cell::new(0), Cell::new(0)],
            opened_in_turn: Cell::new(0),
            last_stream: Cell::new(LAST_STREAM),
            refused: Cell::new(0),
            unread: Unread::new(max_unread_bytes),
            said_go_away: Cell::new(false),
            stalled: Cell::new(None),
            driver: RefCell::new(None),
            lingering: RefCell::default(),
            waiting: Cell::new(0),
            room: Event::new(),
            ended: Event::new(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Goes on to a later stage; there is no way back.
    pub(super) fn advance(&self, to: Stage) {
        if self.stage.get() as u8 >= to as u8 {
            return;
        }
        self.stage.set(to);
        self.room.notify(usize::MAX);
        if to == Stage::Ended {
            self.driver.take();
            self.stalled.set(None);
            self.ended.notify(usize::MAX);
        }
        self.wake_driver();
    }

    /// The waker of the driver's task, once it has run.
    pub(super) fn driver(&self) -> Waker {
        self.driver.borrow().as_ref().map_or_else(|| Waker::noop().clone(), Waker::clone)
    }

    pub(super) fn is_driven_by(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    pub(super) fn wake_driver(&self) {
        self.driver().wake();
    }

    pub(super) fn note_writing(&self, waits: bool, progress: u64) {
        self.stalled.set(waits.then_some(progress));
    }

    pub(super) fn stalled(&self) -> Option<u64> {
        self.stalled.get()
    }

    /// The driver has done what it could for now.
    pub(super) fn end_turn(&self) {
        self.opened_in_turn.set(0);
        if self.stalled().is_some() {
            return;
        }
        for (opener, stream) in self.lingering.take() {
            self.release(opener, stream);
        }
        if self.is_out_of_streams() {
            // The driver may have waited for this turn's bytes to go.
            self.wake_driver();
        }
        if self.waiting.get() > 0 {
            // All of them: the one who was told first may not be listening just now.
            self.room.notify(usize::MAX);
        }
    }

    fn release(&self, opener: Opener, stream: u32) {
        let count = &self.streams[opener as usize];
        count.set(count.get() - 1);
        self.unread.end(stream);
        if self.is_out_of_streams() {
            self.wake_driver();
        }
    }

    /// Whether the connection was told to close, and its last stream has ended.
    pub(super) fn is_out_of_streams(&self) -> bool {
        self.stage() == Stage::Closing && self.streams() == 0
    }

    pub(super) fn opened_by(&self, opener: Opener) -> usize {
        self.streams[opener as usize].get()
    }

    pub(super) fn streams(&self) -> usize {
        self.opened_by(Opener::Us) + self.opened_by(Opener::Peer)
    }
}

/// A stream's place among those of its connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) shared: Rc<Shared>,
    opener: Opener,
    pub(super) stream: u32,
}

impl Place {
    pub(super) fn take(shared: Rc<Shared>, opener: Opener, stream: u32) -> Self {
        let count = &shared.streams[opener as usize];
        count.set(count.get() + 1);
        shared.unread.begin(stream);
        Self { shared, opener, stream }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.shared.stalled() {
            None => self.shared.release(self.opener, self.stream),
            Some(_) => self.shared.lingering.borrow_mut().push((self.opener, self.stream)),
        }
    }
}
