//! One stream, as those who use it see it; `pump` moves its bytes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

use event_listener::Event;

use super::feed::Feed;
use super::routes::Routes;
use super::scan::Id;
use crate::client::transport::TransportError;
use crate::client::wire::Gate;
use crate::p2p::frame::write_frame;

/// One message on its way to the peer.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    fate: Cell<Fate>,
    changed: Event,
}

/// How far a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing of it has left.
    Waits,
    /// The stream has a part of it.
    Begun,
    /// The stream has all of it.
    Gone,
    /// It will not be sent.
    Dropped,
}

impl Parcel {
    pub(super) fn fate(&self) -> Fate {
        self.fate.get()
    }

    pub(super) fn set(&self, fate: Fate) {
        self.fate.set(fate);
        self.changed.notify(usize::MAX);
    }

    /// Takes it back, unless a part of it has left. True when it was taken back.
    pub(super) fn withdraw(&self) -> bool {
        let waits = self.fate() == Fate::Waits;
        if waits {
            self.set(Fate::Dropped);
        }
        waits || self.fate() == Fate::Dropped
    }

    /// Waits until the stream has all of it; false when it will not be sent.
    pub(super) async fn gone(&self) -> bool {
        loop {
            let changed = self.changed.listen();
            match self.fate() {
                Fate::Gone => return true,
                Fate::Dropped => return false,
                Fate::Waits | Fate::Begun => changed.await,
            }
        }
    }
}

/// Whether the stream is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It goes on.
    Stay,
    /// In order: what waits is sent first.
    Close,
    /// At once.
    Reset,
}

/// One stream and the requests in progress on it.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) number: u64,
    /// Whether the stream is the session of an older revision.
    pub(super) in_session: bool,
    pub(super) routes: RefCell<Routes>,
    /// Bytes that the peer reads of one message, where it speaks 2024-11-05: then it also takes one request at a time,
    /// answers each with one message, and knows no notification.
    pub(super) old: Cell<Option<usize>>,
    pub(super) turn: Gate,
    out: RefCell<VecDeque<Rc<Parcel>>>,
    wish: Cell<Wish>,
    over: Cell<bool>,
    ended: Event,
    /// Told when there may be room for one more request.
    freed: Rc<Event>,
    waker: RefCell<Option<Waker>>,
}

impl Lane {
    pub(super) fn new(number: u64, in_session: bool, max_waiting_bytes: usize, freed: Rc<Event>) -> Rc<Lane> {
        Rc::new(Lane {
            number,
            in_session,
            routes: RefCell::new(Routes::new(in_session, max_waiting_bytes)),
            old: Cell::new(None),
            turn: Gate::default(),
            out: RefCell::default(),
            wish: Cell::new(Wish::Stay),
            over: Cell::new(false),
            ended: Event::new(),
            freed,
            waker: RefCell::default(),
        })
    }

    /// The name of the session that the stream is.
    pub(super) fn session_id(&self) -> String {
        format!("stream-{}", self.number)
    }

    /// Whether messages can be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.over.get() && self.wish.get() == Wish::Stay
    }

    /// Whether its bytes move no more.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Requests in progress.
    pub(super) fn requests(&self) -> usize {
        self.routes.borrow().len()
    }

    /// Nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.requests() == 0 && self.out.borrow().is_empty()
    }

    /// Puts a message into the queue.
    pub(super) fn send(&self, message: &[u8]) -> Rc<Parcel> {
        let mut bytes = Vec::with_capacity(message.len() + 4);
        write_frame(&mut bytes, message);
        let fate = Cell::new(if self.is_open() { Fate::Waits } else { Fate::Dropped });
        let parcel = Rc::new(Parcel { bytes, fate, changed: Event::new() });
        if self.is_open() {
            let mut out = self.out.borrow_mut();
            // What was taken back is let go, also where the peer reads nothing and the queue does not move.
            out.retain(|parcel| parcel.fate() == Fate::Waits);
            out.push_back(Rc::clone(&parcel));
            drop(out);
            self.wake();
        }
        parcel
    }

    /// The next message to be written.
    pub(super) fn next_parcel(&self) -> Option<Rc<Parcel>> {
        let mut out = self.out.borrow_mut();
        loop {
            let parcel = out.pop_front()?;
            if parcel.fate() == Fate::Waits {
                return Some(parcel);
            }
        }
    }

    /// Nobody waits for the answer any more; true when it had not come.
    pub(super) fn give_up(&self, id: &Id, feed: &Rc<Feed>) -> bool {
        let unanswered = self.routes.borrow_mut().give_up(id, feed);
        if unanswered {
            self.free();
            // The stream's patience may begin.
            self.wake();
        }
        unanswered
    }

    /// Requests are over; somebody may have waited for their place.
    pub(super) fn free(&self) {
        self.freed.notify(usize::MAX);
    }

    /// Asks for the end.
    pub(super) fn end(&self, wish: Wish) {
        if self.wish.get() != Wish::Reset {
            self.wish.set(wish);
        }
        self.wake();
    }

    pub(super) fn wish(&self) -> Wish {
        self.wish.get()
    }

    /// Whoever moves the bytes is to be woken with this.
    pub(super) fn register(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Its bytes move no more: everybody hears why.
    pub(super) fn finish(&self, why: &TransportError) {
        self.over.set(true);
        self.routes.borrow_mut().fail(why);
        for parcel in self.out.take() {
            parcel.withdraw();
        }
        self.ended.notify(usize::MAX);
        self.freed.notify(usize::MAX);
    }

    /// Waits until its bytes move no more.
    pub(super) async fn ended(&self) {
        while !self.is_over() {
            let ended = self.ended.listen();
            if !self.is_over() {
                ended.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_takes_no_room_in_the_queue() {
        let lane = Lane::new(1, false, 1_000, Rc::default());
        for _ in 0..100 {
            assert!(lane.send(&[b' '; 10_000]).withdraw());
        }
        let sent = lane.send(b"{}");
        assert_eq!(lane.out.borrow().len(), 1);
        assert_eq!(lane.next_parcel().unwrap().bytes, sent.bytes);
        assert!(lane.is_idle());
    }
}
