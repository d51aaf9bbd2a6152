//! Where the calls of one stream leave what they have to say, and hear what becomes of the stream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::mcp::{SmallText, same_id};
use crate::p2p::frame::write_frame;

/// What a call in progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// To go on.
    Go,
    /// To end if it would go on for as long as the stream does.
    Stop,
    /// That the peer does not want it any more.
    Cancel,
    /// To end with an answer now, because the server stops.
    GiveUp,
    /// That nobody can be answered any more.
    Leave,
}

/// One stream's side of its calls in progress.
pub(super) struct Outlet {
    /// Whole frames that the stream has not taken over yet.
    frames: RefCell<Vec<u8>>,
    /// What the stream has taken over and the peer has not read.
    staged: Cell<usize>,
    max_bytes: usize,
    stream: RefCell<Option<Waker>>,
    tickets: RefCell<Vec<Rc<Ticket>>>,
    /// What calls that begin later are told too.
    order: Cell<Order>,
    /// How many calls wait for room.
    waiting: Cell<usize>,
    /// There was no room since the stream last asked.
    was_full: Cell<bool>,
    /// A call came to an end that it should not.
    has_failed: Cell<bool>,
}

/// One call in progress.
pub(super) struct Ticket {
    /// The request's id as JSON text; `None` for a batch.
    id: Option<SmallText>,
    order: Cell<Order>,
    waits: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Outlet {
    pub(super) fn new(max_bytes: usize) -> Rc<Outlet> {
        Rc::new(Outlet {
            frames: RefCell::default(),
            staged: Cell::new(0),
            max_bytes,
            stream: RefCell::default(),
            tickets: RefCell::default(),
            order: Cell::new(Order::Go),
            waiting: Cell::new(0),
            was_full: Cell::new(false),
            has_failed: Cell::new(false),
        })
    }

    /// How many calls are in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.tickets.borrow().len()
    }

    pub(super) fn enter(&self, id: Option<&str>) -> Rc<Ticket> {
        let ticket = Rc::new(Ticket {
            id: id.map(SmallText::from),
            order: Cell::new(self.order.get()),
            waits: Cell::new(false),
            waker: RefCell::default(),
        });
        self.tickets.borrow_mut().push(ticket.clone());
        ticket
    }

    pub(super) fn leave(&self, ticket: &Rc<Ticket>) {
        self.tickets.borrow_mut().retain(|known| !Rc::ptr_eq(known, ticket));
        self.stop_waiting(ticket);
        self.wake_stream();
    }

    /// Tells every call, unless it was told more already.
    pub(super) fn order(&self, order: Order) {
        self.order.set(self.order.get().max(order));
        let wakers: Vec<Waker> =
            self.tickets.borrow().iter().filter_map(|ticket| ticket.tell(order)).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Cancels what runs under this id (JSON text). Ids that nothing runs under are ignored, as MCP asks.
    pub(super) fn cancel(&self, id: &str) {
        let is_meant =
            |ticket: &&Rc<Ticket>| ticket.id.as_ref().is_some_and(|known| same_id(known.as_str(), id));
        let tickets = self.tickets.borrow();
        let wakers: Vec<Waker> =
            tickets.iter().filter(is_meant).filter_map(|ticket| ticket.tell(Order::Cancel)).collect();
        drop(tickets);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Queues a message as a frame.
    pub(super) fn push(&self, message: &[u8]) {
        write_frame(&mut self.frames.borrow_mut(), message);
        self.wake_stream();
    }

    /// Whether the peer has read enough for one message more; the call is woken when it has. One message always has
    /// room, however long it is.
    pub(super) fn poll_room(&self, ticket: &Ticket) -> Poll<()> {
        if self.held_bytes() < self.max_bytes {
            self.stop_waiting(ticket);
            return Poll::Ready(());
        }
        self.was_full.set(true);
        if !ticket.waits.replace(true) {
            self.waiting.set(self.waiting.get() + 1);
        }
        Poll::Pending
    }

    fn stop_waiting(&self, ticket: &Ticket) {
        if ticket.waits.replace(false) {
            self.waiting.set(self.waiting.get() - 1);
        }
    }

    /// What the calls have left and the stream has not taken over, in bytes.
    pub(super) fn queued_bytes(&self) -> usize {
        self.frames.borrow().len()
    }

    /// What the peer has not read, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.staged.get() + self.frames.borrow().len()
    }

    /// Notes how much the stream has yet to send, and wakes the calls that this makes room for.
    pub(super) fn stage(&self, bytes: usize) {
        self.staged.set(bytes);
        if self.waiting.get() == 0 || self.held_bytes() >= self.max_bytes {
            return;
        }
        let waiting = |ticket: &&Rc<Ticket>| ticket.waits.get();
        let wakers: Vec<Waker> =
            self.tickets.borrow().iter().filter(waiting).filter_map(|ticket| ticket.take_waker()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Moves the queued frames behind `out`; true when there were any.
    pub(super) fn collect(&self, out: &mut Vec<u8>) -> bool {
        let mut frames = self.frames.borrow_mut();
        if frames.is_empty() {
            return false;
        }
        match out.is_empty() {
            true => std::mem::swap(out, &mut frames),
            false => out.append(&mut frames),
        }
        true
    }

    /// Whether there was no room since this was last asked.
    pub(super) fn take_was_full(&self) -> bool {
        self.was_full.take()
    }

    /// Gives the stream up: an answer is missing, and the peer would wait for it.
    pub(super) fn fail(&self) {
        self.has_failed.set(true);
        self.wake_stream();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// Has the stream's task woken for what the calls do.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        store(&self.stream, cx);
    }

    fn wake_stream(&self) {
        let waker = self.stream.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Ticket {
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_ref().map(SmallText::as_str)
    }

    /// What the call was told; its task is woken when that changes.
    pub(super) fn poll_order(&self, cx: &Context<'_>) -> Order {
        store(&self.waker, cx);
        self.order.get()
    }

    fn tell(&self, order: Order) -> Option<Waker> {
        if order <= self.order.get() {
            return None;
        }
        self.order.set(order);
        self.take_waker()
    }

    fn take_waker(&self) -> Option<Waker> {
        self.waker.borrow_mut().take()
    }
}

fn store(slot: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut slot = slot.borrow_mut();
    match &*slot {
        Some(known) if known.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}
