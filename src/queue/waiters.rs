//! Who waits for what: a bounded registry that events wake, and no timer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event, EventListener};

use super::step::Wake;

const SHARDS: usize = 64;

type Shard = HashMap<Wake, (Arc<Event>, usize)>;

/// Who waits for what, on any core: a bounded number, woken by the event alone.
#[derive(Debug)]
pub struct Waiters {
    shards: [Mutex<Shard>; SHARDS],
    count: AtomicUsize,
    max: usize,
}

/// There are as many waiters as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWaiters;

/// A place among the waiters; leaving it out of hand ends the wait.
#[derive(Debug)]
pub struct Waiter {
    waiters: Arc<Waiters>,
    key: Wake,
    /// Is ready when what was waited for was committed after [`Waiters::wait`].
    pub listener: EventListener,
}

impl Waiters {
    /// Room for `max` waiters.
    pub fn new(max: usize) -> Arc<Waiters> {
        let shards = std::array::from_fn(|_| Mutex::default());
        Arc::new(Waiters { shards, count: AtomicUsize::new(0), max })
    }

    /// Waits for a key. Ask the queue after this call, not before it: what is committed in between wakes, too.
    ///
    /// # Errors
    /// When there is no room.
    pub fn wait(self: &Arc<Self>, key: Wake) -> Result<Waiter, TooManyWaiters> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(TooManyWaiters);
        }
        let mut shard = self.shard(&key);
        let (event, waiting) = shard.entry(key.clone()).or_default();
        *waiting += 1;
        let listener = event.listen();
        drop(shard);
        Ok(Waiter { waiters: self.clone(), key, listener })
    }

    /// Wakes all who wait for a key.
    pub fn wake(&self, key: &Wake) {
        let event = self.shard(key).get(key).map(|(event, _)| event.clone());
        if let Some(event) = event {
            event.notify(usize::MAX);
        }
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &Wake) -> MutexGuard<'_, Shard> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let shard = &self.shards[hasher.finish() as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(mut entry) = self.waiters.shard(&self.key).entry(self.key.clone()) {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                entry.remove();
            }
        }
    }
}
