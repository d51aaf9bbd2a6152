//! What passes between a running call and the rest: its queued events, its cancellation, and who to wake.
//!
//! All of it is safe to use from any thread, because a cancellation arrives on whichever core reads it and a blocking
//! tool runs on a thread of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use event_listener::Event;

/// Why a call was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CancelReason {
    /// The client sent `notifications/cancelled`, or ended the session.
    Client = 1,
    /// The client went away, or the server stops.
    Server = 2,
    /// The time was up.
    Deadline = 3,
    /// The call ended; what it left behind has nobody to report to.
    Finished = 4,
}

#[derive(Default)]
pub(crate) struct Signals {
    /// Zero, or a [`CancelReason`].
    cancelled: AtomicU8,
    /// True while an event is queued, so that a look costs no lock.
    queued: AtomicBool,
    /// The author wants the stream's connection closed.
    hang_up: AtomicBool,
    /// How often an event found the queue full.
    full: AtomicU32,
    inner: Mutex<Inner>,
    /// Notified once, at cancellation.
    cancel: Event,
    /// Notified whenever the queue gives up bytes.
    room: Event,
}

#[derive(Default)]
struct Inner {
    waker: Option<Waker>,
    queue: Option<Box<Queue>>,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Vec<u8>>,
    bytes: usize,
    last_progress: Option<f64>,
}

/// What became of an event that was offered to the queue.
pub(crate) enum Offer {
    /// Queued, or dropped because nobody may see it any more.
    Done,
    /// The queue is full; the event comes back.
    Full(Vec<u8>),
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        crate::mcp::lock(&self.inner)
    }

    /// Why the call was told to stop, if it was.
    pub(crate) fn cancel_reason(&self) -> Option<CancelReason> {
        match self.cancelled.load(Ordering::Acquire) {
            1 => Some(CancelReason::Client),
            2 => Some(CancelReason::Server),
            3 => Some(CancelReason::Deadline),
            4 => Some(CancelReason::Finished),
            _ => None,
        }
    }

    /// Tells the call to stop; the first reason is kept. Wakes the task that polls it and whoever waits inside.
    pub(crate) fn cancel(&self, reason: CancelReason) {
        let first =
            self.cancelled.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !first {
            return;
        }
        self.cancel.notify(usize::MAX);
        self.room.notify(usize::MAX);
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Resolves at cancellation.
    pub(crate) async fn cancelled(&self) {
        while self.cancel_reason().is_none() {
            let listener = self.cancel.listen();
            if self.cancel_reason().is_some() {
                return;
            }
            listener.await;
        }
    }

    /// Queues an event, waiting until `limit` bytes leave room for it. A `progress` that is not above the last one
    /// is dropped, as is whatever comes after cancellation or the end of the call.
    pub(crate) async fn send(&self, mut event: Vec<u8>, progress: Option<f64>, limit: usize) {
        match self.offer(event, progress, limit) {
            Offer::Done => return,
            Offer::Full(back) => event = back,
        }
        self.full.fetch_add(1, Ordering::Relaxed);
        loop {
            let listener = self.room.listen();
            match self.offer(event, progress, limit) {
                Offer::Done => return,
                Offer::Full(back) => event = back,
            }
            listener.await;
        }
    }

    fn offer(&self, event: Vec<u8>, progress: Option<f64>, limit: usize) -> Offer {
        if event.len() > limit {
            tracing::warn!(bytes = event.len(), limit, "an event larger than the stream's queue was dropped");
            self.full.fetch_add(1, Ordering::Relaxed);
            return Offer::Done;
        }
        let mut inner = self.lock();
        if inner.closed || self.cancel_reason().is_some() {
            return Offer::Done;
        }
        let queue = inner.queue.get_or_insert_default();
        if progress.is_some_and(|value| queue.last_progress.is_some_and(|last| value <= last)) {
            return Offer::Done;
        }
        if queue.bytes + event.len() > limit {
            return Offer::Full(event);
        }
        queue.last_progress = progress.or(queue.last_progress);
        queue.bytes += event.len();
        queue.events.push_back(event);
        self.queued.store(true, Ordering::Release);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        Offer::Done
    }

    /// Asks that the connection of the call's stream be closed.
    pub(crate) fn hang_up(&self) {
        self.hang_up.store(true, Ordering::Release);
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether that was asked and not done yet.
    pub(crate) fn wants_hang_up(&self) -> bool {
        self.hang_up.load(Ordering::Acquire)
    }

    /// As [`Signals::wants_hang_up`]; it is done now.
    pub(crate) fn take_hang_up(&self) -> bool {
        self.wants_hang_up() && self.hang_up.swap(false, Ordering::AcqRel)
    }

    /// How often an event found the queue full.
    pub(crate) fn times_full(&self) -> u32 {
        self.full.load(Ordering::Relaxed)
    }

    /// True while an event waits to be taken.
    pub(crate) fn has_events(&self) -> bool {
        self.queued.load(Ordering::Acquire)
    }

    /// The oldest event.
    pub(crate) fn take_event(&self) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        let queue = inner.queue.as_mut()?;
        let event = queue.events.pop_front()?;
        queue.bytes -= event.len();
        if queue.events.is_empty() {
            self.queued.store(false, Ordering::Release);
        }
        drop(inner);
        self.room.notify(usize::MAX);
        Some(event)
    }

    /// Queues an event if there is room for it now; otherwise it is dropped.
    pub(crate) fn try_send(&self, event: Vec<u8>, limit: usize) {
        // Only for events that nothing depends on.
        let _ = self.offer(event, None, limit);
    }

    /// Wakes the task that polls the call.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Keeps the waker for the next event or the cancellation.
    pub(crate) fn register(&self, waker: &Waker) {
        store(&mut self.lock().waker, waker);
    }

    /// Takes no more events; those queued stay to be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify(usize::MAX);
    }

    /// Takes no more events and drops those queued.
    pub(crate) fn discard(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.queue = None;
        self.queued.store(false, Ordering::Release);
        drop(inner);
        self.room.notify(usize::MAX);
    }
}

fn store(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(old) => old.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
