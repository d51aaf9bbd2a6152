//! How many handlers of the process are still running after their first poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The count that every core shares. Handlers that finish at once never touch it.
#[derive(Debug)]
pub(crate) struct InFlight {
    max: u64,
    running: Arc<AtomicU64>,
}

impl InFlight {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, running: Arc::default() }
    }

    pub(crate) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Whether one more request must be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.running() >= self.max
    }

    pub(crate) fn enter(&self) -> Permit {
        self.running.fetch_add(1, Ordering::Relaxed);
        Permit { running: self.running.clone() }
    }
}

/// One running handler; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Permit {
    running: Arc<AtomicU64>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_while_it_lives() {
        let inflight = InFlight::new(2);
        let first = inflight.enter();
        assert!(!inflight.is_full());
        let second = inflight.enter();
        assert!(inflight.is_full());
        drop(first);
        drop(second);
        assert_eq!(inflight.running(), 0);
    }
}
