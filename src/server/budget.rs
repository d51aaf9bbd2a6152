//! The process-wide budget of bytes held in bodies and write buffers, and the shares that connections take of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a connection may hold without asking; `max_connections` bounds the sum of these.
const FREE_BYTES: u64 = 64 << 10;
/// Shares grow in steps of this size, so that a growing body asks rarely.
const STEP_BYTES: u64 = 64 << 10;

/// The budget itself, shared by every core.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    held: AtomicU64,
}

impl Budget {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicU64::new(0) })
    }

    /// Bytes that connections hold now, in steps of 64 KiB.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether nothing is left: no request is taken that could make an answer.
    pub(crate) fn is_full(&self) -> bool {
        self.held() >= self.max
    }

    fn take(&self, bytes: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= self.max {
            return true;
        }
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

/// One connection's share of the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: u64,
}

impl Share {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    /// Makes the share cover `bytes`; false when the process has no more to give, and then nothing changes.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        let wanted = steps(bytes as u64);
        if wanted <= self.held {
            self.shrink(wanted);
            return true;
        }
        if !self.budget.take(wanted - self.held) {
            return false;
        }
        self.held = wanted;
        true
    }

    /// Makes the share cover `bytes` that are there already, beyond the budget if need be.
    pub(crate) fn hold(&mut self, bytes: usize) {
        let wanted = steps(bytes as u64);
        if wanted > self.held {
            self.budget.held.fetch_add(wanted - self.held, Ordering::Relaxed);
            self.held = wanted;
        } else {
            self.shrink(wanted);
        }
    }

    fn shrink(&mut self, wanted: u64) {
        if wanted < self.held {
            self.budget.held.fetch_sub(self.held - wanted, Ordering::Relaxed);
            self.held = wanted;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

fn steps(bytes: u64) -> u64 {
    if bytes <= FREE_BYTES { 0 } else { bytes.div_ceil(STEP_BYTES) * STEP_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_requests_never_touch_the_budget() {
        let budget = Budget::new(STEP_BYTES);
        let mut share = Share::new(budget.clone());
        assert!(share.cover(FREE_BYTES as usize));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_share_grows_in_steps_and_gives_everything_back() {
        let budget = Budget::new(4 * STEP_BYTES);
        let mut share = Share::new(budget.clone());
        assert!(share.cover(100_000));
        assert_eq!(budget.held(), 2 * STEP_BYTES);
        assert!(share.cover(65_537));
        assert_eq!(budget.held(), 2 * STEP_BYTES);
        drop(share);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn past_the_budget_nothing_is_taken_but_what_exists_is_counted() {
        let budget = Budget::new(4 * STEP_BYTES);
        let mut first = Share::new(budget.clone());
        let mut second = Share::new(budget.clone());
        assert!(first.cover(2 * STEP_BYTES as usize));
        assert!(!second.cover(3 * STEP_BYTES as usize));
        assert_eq!(budget.held(), 2 * STEP_BYTES);
        assert!(!budget.is_full());
        second.hold(3 * STEP_BYTES as usize);
        assert_eq!(budget.held(), 5 * STEP_BYTES);
        assert!(budget.is_full());
        drop(second);
        assert!(!budget.is_full());
    }
}
