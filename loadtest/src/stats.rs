//! What one generator thread counts, and how the counts of several are put together.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::answer::{ErrorKind, Fault};

/// Longest latency that is told apart, in nanoseconds; longer ones count as this.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
/// Samples that must lie above a percentile for it to be worth printing.
const MIN_SAMPLES_ABOVE: f64 = 10.0;

/// The counts of one thread, or of all.
#[derive(Debug)]
pub(crate) struct Stats {
    latency_ns: Histogram<u64>,
    errors: BTreeMap<ErrorKind, u64>,
    first_fault: Option<Fault>,
    /// Answers that took the slow check.
    pub(crate) slow_checks: u64,
    /// The length of an answer, in bytes.
    pub(crate) answer_bytes: usize,
}

impl Stats {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let latency_ns = Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)
            .expect("invariant: the bounds and the precision are valid constants");
        Self { latency_ns, errors: BTreeMap::new(), first_fault: None, slow_checks: 0, answer_bytes: 0 }
    }

    /// Counts one right answer within the measured time.
    pub(crate) fn record(&mut self, latency: Duration) {
        self.latency_ns.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(MAX_LATENCY_NS));
    }

    /// Counts an error; errors outside the measured time count too.
    pub(crate) fn fail(&mut self, fault: Fault, count: u64) {
        if count > 0 {
            *self.errors.entry(fault.kind).or_default() += count;
            self.first_fault.get_or_insert(fault);
        }
    }

    /// Adds the counts of another thread.
    pub(crate) fn merge(&mut self, other: Self) {
        self.latency_ns.add(&other.latency_ns).expect("invariant: all histograms have the same bounds");
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.first_fault = self.first_fault.take().or(other.first_fault);
        self.slow_checks += other.slow_checks;
        self.answer_bytes = self.answer_bytes.max(other.answer_bytes);
    }

    /// Right answers within the measured time.
    pub(crate) fn requests(&self) -> u64 {
        self.latency_ns.len()
    }

    /// Errors by kind.
    pub(crate) fn errors(&self) -> &BTreeMap<ErrorKind, u64> {
        &self.errors
    }

    /// The first error in words.
    pub(crate) fn first_fault(&self) -> Option<&Fault> {
        self.first_fault.as_ref()
    }

    /// A percentile of the latency in microseconds, or `None` with fewer than ten samples above it.
    pub(crate) fn percentile_us(&self, percentile: f64) -> Option<f64> {
        let above = self.latency_ns.len() as f64 * (1.0 - percentile / 100.0);
        (above >= MIN_SAMPLES_ABOVE).then(|| self.latency_ns.value_at_percentile(percentile) as f64 / 1e3)
    }

    /// The longest latency in microseconds.
    pub(crate) fn max_us(&self) -> f64 {
        self.latency_ns.max() as f64 / 1e3
    }
}

/// Median, smallest and largest of some figures.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of the figures that are there; `None` without any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_need_samples_above_them() {
        let mut stats = Stats::new();
        for us in 1..=1000 {
            stats.record(Duration::from_micros(us));
        }
        let p99 = stats.percentile_us(99.0).unwrap();
        assert!((985.0..=995.0).contains(&p99), "{p99}");
        assert_eq!(stats.percentile_us(99.9), None);
        assert_eq!(stats.requests(), 1000);
    }

    #[test]
    fn merging_adds_and_keeps_the_first_fault() {
        let mut one = Stats::new();
        let mut two = Stats::new();
        one.record(Duration::from_micros(5));
        two.record(Duration::from_secs(100_000));
        two.fail(Fault::new(ErrorKind::Text, "first"), 2);
        two.fail(Fault::new(ErrorKind::Io, "second"), 1);
        two.fail(Fault::new(ErrorKind::Closed, "none"), 0);
        one.merge(two);
        assert_eq!(one.requests(), 2);
        assert_eq!(one.errors().values().sum::<u64>(), 3);
        assert_eq!(one.first_fault().unwrap().detail, "first");
    }

    #[test]
    fn spreads() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([1.0, 2.0, f64::NAN]).unwrap().median, 1.5);
        assert_eq!(Spread::of([]), None);
    }
}
