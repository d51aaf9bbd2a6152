//! What the process keeps for clients that resume a stream: its limits, its bytes, and every log there is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::limits::{Limit, Limits};
use crate::mcp::session::log::StreamLog;

/// Logs that one sweep looks at.
const SWEPT: usize = 4_096;
/// Logs that one event can have cut to make room for itself.
const CUT: usize = 1_024;

/// One for the process.
pub(crate) struct Replay {
    pub(crate) max_bytes: u64,
    pub(crate) max_session_bytes: u64,
    pub(crate) max_streams: usize,
    /// Unread bytes past which a stream with a reader takes no more.
    pub(crate) queue_bytes: usize,
    pub(crate) ttl: Duration,
    pub(crate) retry_ms: u64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    turns: AtomicU64,
    known: Mutex<Known>,
}

/// Every log by its number, which is its age.
#[derive(Default)]
struct Known {
    next: u64,
    logs: BTreeMap<u64, Weak<StreamLog>>,
    /// Older logs than this had nothing left to drop.
    cut_from: u64,
    swept_to: u64,
}

impl Replay {
    pub(crate) fn new(limits: &Limits) -> Replay {
        let size = |limit: Limit| usize::try_from(limits.value(limit)).unwrap_or(usize::MAX);
        Replay {
            max_bytes: limits.max_replay_bytes,
            max_session_bytes: limits.max_session_replay_bytes,
            max_streams: size(Limit::SessionStreams),
            queue_bytes: size(Limit::StreamQueueBytes),
            ttl: limits.duration(Limit::ReplayTime),
            retry_ms: limits.sse_retry_ms,
            bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        crate::mcp::lock(&self.known)
    }

    /// Bytes kept now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Events that were dropped so far, so that nobody can resume before them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.bytes() > self.max_bytes
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_dropped(&self, events: u64) {
        self.dropped.fetch_add(events, Ordering::Relaxed);
    }

    /// A number above all before it.
    pub(crate) fn next_turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A number for a log about to be made.
    pub(crate) fn reserve(&self) -> u64 {
        let mut known = self.lock();
        known.next += 1;
        known.next
    }

    pub(crate) fn enter(&self, number: u64, log: &Arc<StreamLog>) {
        self.lock().logs.insert(number, Arc::downgrade(log));
    }

    pub(crate) fn leave(&self, number: u64) {
        self.lock().logs.remove(&number);
    }

    /// Drops the oldest events until the process keeps no more than it may.
    pub(crate) fn trim(&self) {
        for _ in 0..CUT {
            let excess = self.bytes().saturating_sub(self.max_bytes);
            if excess == 0 {
                return;
            }
            let Some(log) = self.next_to_cut() else { return };
            log.cut(excess);
        }
    }

    fn next_to_cut(&self) -> Option<Arc<StreamLog>> {
        let mut known = self.lock();
        for from in [known.cut_from, 0] {
            let mut old = known.logs.range(from..);
            if let Some((number, log)) = old.find_map(|(number, log)| Some((*number, log.upgrade()?))) {
                // The log itself says when it has nothing left, by being passed over.
                known.cut_from = number + 1;
                return Some(log);
            }
        }
        None
    }

    /// Forgets the streams that ended, or lost their client, too long ago.
    pub(crate) fn sweep(&self, now: Instant) {
        let logs: Vec<Arc<StreamLog>> = {
            let mut known = self.lock();
            let swept: Vec<_> = known.logs.range(known.swept_to..).take(SWEPT).collect();
            let last = swept.last().map(|(number, _)| **number);
            let logs = swept.iter().filter_map(|(_, log)| log.upgrade()).collect();
            let is_end = swept.len() < SWEPT;
            known.swept_to = if is_end { 0 } else { last.map_or(0, |last| last + 1) };
            // With so little left, the next sweep begins anew, and older logs may hold something to drop again.
            if is_end {
                known.cut_from = 0;
            }
            logs
        };
        logs.iter().for_each(|log| log.sweep(now, self.ttl));
    }
}
