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

    /// Whether nothing is left for libp2p.
    pub(crate) fn is_full_for_peers(&self) -> bool {
        self.held() >= self.max_for_peers()
    }

    /// Peers leave a quarter to HTTP: whoever may connect as a peer may be a stranger.
    fn max_for_peers(&self) -> u64 {
        self.max - self.max / 4
    }

    /// Takes bytes as long as no more than `max` are held then.
    fn take(&self, bytes: u64, max: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= max {
            return true;
        }
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

/// The share of the budget of one connection, or of one stream of a peer; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: u64,
    /// It grows no more once the process holds this much.
    max: u64,
}

impl Share {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        let max = budget.max;
        Self { budget, held: 0, max }
    }

    /// That of a stream over libp2p.
    pub(crate) fn of_peer(budget: Arc<Budget>) -> Self {
        let max = budget.max_for_peers();
        Self { budget, held: 0, max }
    }

    /// Makes the share cover `bytes`; false when the process has no more to give, and then nothing changes.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        let wanted = steps(bytes as u64);
        if wanted <= self.held {
            self.shrink(wanted);
            return true;
        }
        if !self.budget.take(wanted - self.held, self.max) {
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
    fn peers_leave_a_quarter_to_http() {
        let budget = Budget::new(8 * STEP_BYTES);
        let mut peer = Share::of_peer(budget.clone());
        assert!(!peer.cover(7 * STEP_BYTES as usize));
        assert!(!budget.is_full_for_peers());
        assert!(peer.cover(6 * STEP_BYTES as usize));
        assert!(budget.is_full_for_peers() && !budget.is_full());
        assert!(!Share::of_peer(budget.clone()).cover(2 * STEP_BYTES as usize));
        assert!(Share::new(budget.clone()).cover(2 * STEP_BYTES as usize));
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
