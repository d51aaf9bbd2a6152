//! Durations in fixed buckets, from 50 µs to 60 s.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets in nanoseconds, inclusive. Most operations of a healthy server end in the first ones.
pub(super) const BOUNDS_NS: [u64; 19] = [
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// The buckets and one more for what is above the last bound.
pub(super) const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// A histogram that one thread writes; aligned so that two cores never share a cache line of it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }

    /// Adds one measurement. Only one thread may call this.
    pub(super) fn record(&self, measured: Measured) {
        bump(&self.buckets[measured.bucket], 1);
        bump(&self.sum_ns, measured.ns);
    }
}

/// A duration whose bucket is known, so that several histograms take it for one search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    ns: u64,
    bucket: usize,
}

impl Measured {
    pub(super) fn new(duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { ns, bucket: bucket_of(ns) }
    }
}

/// A single writer's addition: a load and a store, without the locked instruction of `fetch_add`.
pub(super) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

fn bucket_of(ns: u64) -> usize {
    BOUNDS_NS.iter().position(|bound| ns <= *bound).unwrap_or(BOUNDS_NS.len())
}

/// Several cores' histograms added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Total {
    pub(super) buckets: [u64; BUCKETS],
    pub(super) sum_ns: u64,
}

impl Total {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.load(Relaxed);
        }
        self.sum_ns = self.sum_ns.wrapping_add(histogram.sum_ns.load(Relaxed));
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_to_that_bucket() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(50_000), 0);
        assert_eq!(bucket_of(50_001), 1);
        assert_eq!(bucket_of(60_000_000_000), 18);
        assert_eq!(bucket_of(u64::MAX), 19);
        assert!(BOUNDS_NS.is_sorted());
    }

    #[test]
    fn cores_add_up() {
        let (left, right) = (Histogram::new(), Histogram::new());
        left.record(Measured::new(Duration::from_micros(10)));
        right.record(Measured::new(Duration::from_micros(20)));
        right.record(Measured::new(Duration::from_secs(100)));
        let mut total = Total::default();
        total.add(&left);
        total.add(&right);
        assert_eq!((total.count(), total.buckets[0], total.buckets[19]), (3, 2, 1));
        assert_eq!(total.sum_ns, 100_000_030_000);
    }
}
