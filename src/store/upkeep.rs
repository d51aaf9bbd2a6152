//! What time brings about: leases that end, delays that are over, tasks and values that were kept long enough. One core does
//! it for all, and sleeps until something is due.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use event_listener::Event;
use futures_lite::FutureExt;

use super::Store;
use super::commits::Machine;
use super::local::LocalStore;
use crate::runtime;

/// Things done in one turn; others have the lock and the core in between.
const BUDGET: usize = 256;
/// Between two turns; what is due is late by no more than this and a turn.
const PAUSE: Duration = Duration::from_millis(10);
/// Nothing is due for longer than anybody waits.
const NEVER_MS: i64 = i64::MAX;
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// When the upkeep wakes next, and how it hears that something is due sooner.
#[derive(Debug)]
pub(super) struct Due {
    at_ms: AtomicI64,
    sooner: Event,
}

impl Default for Due {
    fn default() -> Self {
        Due { at_ms: AtomicI64::new(NEVER_MS), sooner: Event::new() }
    }
}

impl Due {
    /// Something is due at this time of the monotonic clock.
    pub(super) fn note(&self, at_ms: Option<i64>) {
        let at_ms = at_ms.unwrap_or(NEVER_MS);
        if at_ms < self.at_ms.load(Ordering::Acquire) && self.at_ms.fetch_min(at_ms, Ordering::AcqRel) > at_ms
        {
            self.sooner.notify(usize::MAX);
        }
    }
}

impl LocalStore {
    /// Does what time brings about, for all cores, until it is dropped. Run it on one core.
    pub async fn keep_up(&self) {
        let store = self.store();
        loop {
            let sooner = store.due.sooner.listen();
            if self.turn() {
                // There is more; others have had the lock and get the core.
                runtime::yield_now().await;
                continue;
            }
            store.due.at_ms.store(NEVER_MS, Ordering::Release);
            // What is noted from here on is compared with what is found here.
            let due = store.next_due();
            store.due.at_ms.fetch_min(due.unwrap_or(NEVER_MS), Ordering::AcqRel);
            let left = due.map_or(LONGEST_SLEEP, |at| {
                let left = u64::try_from(at.saturating_sub(store.now().mono_ms)).unwrap_or(0);
                Duration::from_millis(left).clamp(PAUSE, LONGEST_SLEEP)
            });
            runtime::sleep(left).or(sooner).await;
            runtime::sleep(PAUSE).await;
        }
    }

    /// Does what is due now; true when that was as much as a turn does.
    fn turn(&self) -> bool {
        let store = self.store();
        let now = store.now();
        self.give_back_more();
        let mut queue = store.queue.lock();
        let ticked = queue.tick(now, BUDGET);
        drop(queue);
        let is_full = ticked.changes.len() + ticked.wakes.len() >= BUDGET;
        // Ends of leases are told once they are durable, by the task that commits them.
        for change in ticked.changes {
            // A refusal has undone the change already, and it is due again.
            let _ = self.keep_unheard(Machine::Queue, change);
        }
        store.wake(ticked.wakes);
        for cache in &store.caches {
            cache.lock().tick(now, BUDGET);
        }
        is_full
    }
}

impl Store {
    fn next_due(&self) -> Option<i64> {
        let queue = self.queue.lock().next_due();
        let caches = self.caches.iter().filter_map(|cache| cache.lock().next_due());
        caches.chain(queue).min()
    }
}
