//! What there is and what happened, for metrics.

use super::Store;
use crate::journal;
use crate::queue::{Counts, Status};

/// What there is and what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Tasks of each status, in the order of [`Status::ALL`].
    pub tasks: [u64; 5],
    /// Tasks that may be claimed now.
    pub ready: u64,
    /// Milliseconds since the creation of the oldest of them; 0 when there is none.
    pub oldest_ready_ms: u64,
    /// Bytes of payloads, results and errors.
    pub bytes: u64,
    /// What happened to tasks since the start.
    pub counts: Counts,
    /// Requests that wait for tasks.
    pub waiters: u64,
    /// How often a core waited for the queue's lock, and for how many nanoseconds.
    pub lock_waits: (u64, u64),
    /// Bytes of the cache.
    pub cache_bytes: u64,
    /// Values that went for want of room.
    pub cache_evictions: u64,
    /// What the logs did, where there is a journal.
    pub journal: Option<journal::Counts>,
    /// Snapshots taken, and the bytes of the last one.
    pub snapshots: (u64, u64),
    /// The journal has failed.
    pub poisoned: bool,
}

impl Store {
    /// What there is and what happened.
    pub fn stats(&self) -> StoreStats {
        let now = self.now();
        let queue = self.queue.lock();
        let mut stats = StoreStats {
            tasks: Status::ALL.map(|status| queue.counts_by_type(status).values().sum::<usize>() as u64),
            ready: queue.ready() as u64,
            oldest_ready_ms: queue.oldest_ready_ms(now).unwrap_or(0),
            bytes: queue.bytes() as u64,
            counts: queue.counts(),
            ..StoreStats::default()
        };
        drop(queue);
        for cache in &self.caches {
            let (bytes, evictions) = cache.lock().usage();
            stats.cache_bytes += bytes as u64;
            stats.cache_evictions += evictions;
        }
        let (taken, last) = self.snapshots.taken();
        StoreStats {
            waiters: self.waiters.count() as u64,
            lock_waits: self.queue.waits(),
            journal: self.kept.as_ref().map(|kept| kept.journal.counts()),
            snapshots: (taken, last.map_or(0, |last| last.bytes)),
            poisoned: self.is_poisoned(),
            ..stats
        }
    }
}
