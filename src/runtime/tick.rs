//! A core's side of the watchdog: its tick, and the name of what it is doing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::clock::set_coarse_now;
use super::core_slot::{CoreSlot, NO_ACTIVITY};
use super::executor::totals;
use super::queues::{self, Queue};
use super::watchdog::Shared;
use super::{deadline, lifeline, panics, readiness};

/// Idle ticks in a row after which a core ticks slowly.
const QUIET_AFTER: u32 = 8;

thread_local! {
    /// This core's cells, while it ticks.
    static SLOT: RefCell<Option<Arc<CoreSlot>>> = const { RefCell::new(None) };
    /// Whether it ticks slowly.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The tick of one core, for as long as it lives. Keep it on the executor that registered it, until its end.
#[derive(Debug)]
pub struct CoreTick {
    slot: Arc<CoreSlot>,
    shared: Arc<Shared>,
    task: Option<glommio::Task<Result<(), String>>>,
}

impl CoreTick {
    pub(super) fn start(slot: Arc<CoreSlot>, shared: Arc<Shared>) -> Self {
        SLOT.set(Some(Arc::clone(&slot)));
        let task = queues::spawn_into(Queue::Serve, panics::caught(run(Arc::clone(&slot))));
        Self { slot, shared, task: Some(task) }
    }

    /// The cell that says what this core is doing.
    pub fn activity(&self) -> Activity {
        Activity { slot: Arc::clone(&self.slot), _core: PhantomData }
    }

    /// Ends the tick and waits until its task is gone. A plain drop ends it as well, with the executor's next turn.
    pub async fn stop(mut self) {
        lifeline::pull();
        if let Some(task) = self.task.take() {
            task.cancel().await;
        }
    }
}

impl Drop for CoreTick {
    fn drop(&mut self) {
        lifeline::pull();
        self.shared.forget(&self.slot);
        self.slot.set_waker(None);
        set_coarse_now(None);
        QUIET.set(false);
        SLOT.set(None);
    }
}

/// Every poll is a tick; the watchdog's pokes are what polls it.
async fn run(slot: Arc<CoreSlot>) {
    let mut armed = false;
    let mut expired = Vec::new();
    let (mut polls, mut idle) = (0, 0);
    poll_fn(|cx| {
        if !armed {
            armed = true;
            slot.set_waker(Some(cx.waker().clone()));
            lifeline::rest();
        }
        let (now, totals) = (Instant::now(), totals());
        readiness::check();
        let calm = deadline::expire(now, &mut expired);
        // The last tick itself was one poll.
        idle = if totals.polls - polls <= 1 && calm { idle + 1 } else { 0 };
        polls = totals.polls;
        let quiet = idle >= QUIET_AFTER;
        QUIET.set(quiet);
        slot.set_quiet(quiet);
        set_coarse_now((!quiet).then_some(now));
        slot.tick(now, totals.busy);
        Poll::Pending
    })
    .await
}

/// Whether this core ticks at all.
pub(super) fn is_running() -> bool {
    SLOT.with_borrow(Option::is_some)
}

/// Whether this core ticks slowly.
pub(super) fn is_slow() -> bool {
    QUIET.get()
}

/// Ends this core's quiet: something is due before its next slow tick would come.
pub(super) fn quicken() {
    QUIET.set(false);
    SLOT.with_borrow(|slot| {
        if let Some(slot) = slot {
            slot.quicken();
        }
    });
}

/// What a core is doing right now, for the watchdog to name when the core is blocked.
#[derive(Debug, Clone)]
pub struct Activity {
    slot: Arc<CoreSlot>,
    /// Its core's alone.
    _core: PhantomData<Rc<()>>,
}

impl Activity {
    /// The core does `index` (a place in [`super::WatchdogSettings::activities`]) until the guard is dropped. The price
    /// is two stores.
    pub fn enter(&self, index: u32) -> ActivityGuard<'_> {
        let outer = self.slot.activity();
        self.slot.set_activity(index);
        ActivityGuard { slot: &self.slot, outer, _core: PhantomData }
    }

    /// A cell that nobody watches, where there is no watchdog.
    pub fn unwatched() -> Self {
        Self { slot: Arc::new(CoreSlot::new(0, Instant::now(), None)), _core: PhantomData }
    }

    /// Whether the core is doing something with a name.
    pub fn is_set(&self) -> bool {
        self.slot.activity() != NO_ACTIVITY
    }
}

/// Ends an activity, and goes back to the one around it.
#[derive(Debug)]
pub struct ActivityGuard<'a> {
    slot: &'a CoreSlot,
    outer: u32,
    _core: PhantomData<Rc<()>>,
}

impl Drop for ActivityGuard<'_> {
    fn drop(&mut self) {
        self.slot.set_activity(self.outer);
    }
}
