//! What wakes an executor before its first tick and after its last.
//!
//! The reactor can park with runnable tasks at any time (see [`super::watchdog`]). While a core ticks, the watchdog wakes
//! its tick. Before and after that it wakes the executor's root, so that a start or an end does not hang.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::core_slot::CoreSlot;
use super::watchdog::{Shared, Watchdog};

thread_local! {
    static CURRENT: RefCell<Option<(Arc<CoreSlot>, Waker)>> = const { RefCell::new(None) };
}

/// Runs `life`, which is all that this thread's executor does. With a watchdog it is woken again and again where no tick
/// is.
pub(super) async fn hold<T>(watchdog: Option<&Watchdog>, life: impl Future<Output = T>) -> T {
    let Some(watchdog) = watchdog else { return life.await };
    let mut line = None;
    let mut life = pin!(life);
    poll_fn(|cx| {
        let line = line.get_or_insert_with(|| Lifeline::new(watchdog.shared(), cx.waker().clone()));
        line.slot.tick(Instant::now(), Duration::ZERO);
        life.as_mut().poll(cx)
    })
    .await
}

/// The watchdog knows of it for as long as it lives.
struct Lifeline {
    slot: Arc<CoreSlot>,
    shared: Arc<Shared>,
}

impl Lifeline {
    fn new(shared: Arc<Shared>, root: Waker) -> Self {
        let slot = Arc::new(CoreSlot::new(0, Instant::now(), None));
        CURRENT.set(Some((Arc::clone(&slot), root)));
        pull();
        shared.hold(Arc::clone(&slot));
        Self { slot, shared }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.shared.let_go(&self.slot);
        self.slot.set_waker(None);
        CURRENT.set(None);
    }
}

/// A tick has begun: the root can sleep.
pub(super) fn rest() {
    CURRENT.with_borrow(|current| {
        if let Some((slot, _)) = current {
            slot.set_waker(None);
        }
    });
}

/// The tick is about to end: the root is woken instead.
pub(super) fn pull() {
    CURRENT.with_borrow(|current| {
        if let Some((slot, root)) = current {
            slot.tick(Instant::now(), Duration::ZERO);
            slot.set_waker(Some(root.clone()));
        }
    });
}
