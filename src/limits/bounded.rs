//! A bounded count that every core shares: open connections, handlers in flight, streams of peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many of something there are now, and may be.
#[derive(Debug)]
pub(crate) struct Bounded {
    max: u64,
    now: Arc<AtomicU64>,
}

impl Bounded {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, now: Arc::default() }
    }

    /// How many there are now.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Whether one more must be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.now.load(Ordering::Relaxed) >= self.max
    }

    /// A place for one more, or none.
    pub(crate) fn try_enter(&self) -> Option<Place> {
        let before = self.now.fetch_add(1, Ordering::Relaxed);
        // A place that is not handed out gives its count back when it is dropped here.
        let place = Place { now: self.now.clone() };
        (before < self.max).then_some(place)
    }

    /// A place for one that is there already.
    pub(crate) fn enter(&self) -> Place {
        self.now.fetch_add(1, Ordering::Relaxed);
        Place { now: self.now.clone() }
    }
}

/// One place in a bounded count; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    now: Arc<AtomicU64>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_while_it_lives() {
        let inflight = Bounded::new(2);
        let first = inflight.enter();
        assert!(!inflight.is_full());
        let second = inflight.enter();
        assert!(inflight.is_full());
        drop(first);
        drop(second);
        assert_eq!(inflight.now.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn places_are_bounded_and_freed() {
        let connections = Bounded::new(2);
        let first = connections.try_enter().unwrap();
        let second = connections.try_enter().unwrap();
        assert!(connections.try_enter().is_none());
        drop(first);
        let third = connections.try_enter().unwrap();
        assert!(connections.try_enter().is_none());
        drop((second, third));
        assert_eq!(connections.now.load(Ordering::Relaxed), 0);
    }
}
