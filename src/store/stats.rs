//! What there is and what happened, for the metrics.

use super::Store;
use crate::observe::TaskStats;
use crate::queue::Status;

impl Store {
    /// What there is and what happened.
    pub fn stats(&self) -> TaskStats {
        let now = self.now();
        let queue = self.queue.lock();
        let tasks = |status| queue.counts_by_type(status).values().sum::<usize>() as u64;
        let counts = queue.counts();
        let mut stats = TaskStats {
            tasks: Status::ALL.map(|status| (status.as_str(), tasks(status))),
            ready: queue.ready() as u64,
            oldest_ready_ms: queue.oldest_ready_ms(now).unwrap_or(0),
            bytes: queue.bytes() as u64,
            lease_expiries: counts.lease_expiries,
            retries: counts.retries,
            dead_letters: counts.dead_letters,
            removed: counts.removed,
            ..TaskStats::default()
        };
        drop(queue);
        for cache in &self.caches {
            let (bytes, evictions) = cache.lock().usage();
            stats.cache_bytes += bytes as u64;
            stats.cache_evictions += evictions;
        }
        let (taken, last) = self.snapshots.taken();
        TaskStats {
            waiters: self.waiters.count() as u64,
            lock_waits: self.queue.waits(),
            journal: self.kept.as_ref().map(|kept| kept.journal.counts()),
            snapshots: (taken, last.map_or(0, |last| last.bytes)),
            journal_failed: self.is_poisoned(),
            workflows: self.workflow_stats(),
            ..stats
        }
    }
}
