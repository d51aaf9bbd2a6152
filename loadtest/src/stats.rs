//! What one generator thread counts, and how the counts of several are put together.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::fault::{ErrorKind, Fault};
use crate::series::Series;

/// Longest latency that is told apart, in nanoseconds; longer ones count as this.
pub(crate) const MAX_LATENCY_NS: u64 = 60_000_000_000;
/// Samples that must lie above a percentile for it to be worth printing.
const MIN_SAMPLES_ABOVE: f64 = 10.0;

/// The counts of one thread, or of all.
#[derive(Debug)]
pub(crate) struct Stats {
    /// The latencies of the measured time, by operation.
    pub(crate) latency_ns: Vec<Histogram<u64>>,
    /// How late operations began that had room to begin.
    pub(crate) lag_ns: Histogram<u64>,
    pub(crate) series: Series,
    errors: BTreeMap<ErrorKind, u64>,
    first_fault: Option<Fault>,
    /// Right answers to single requests within the measured time.
    pub(crate) answers: u64,
    /// Operations that ended within the measured time, whenever they began.
    pub(crate) completed: u64,
    /// Arrivals of the measured time in an open loop.
    pub(crate) offered: u64,
    /// Those of them that nobody began before the end.
    pub(crate) not_begun: u64,
    /// Answers that took the slow check.
    pub(crate) slow_checks: u64,
    /// The length of an answer, in bytes.
    pub(crate) answer_bytes: usize,
}

/// An empty histogram of latencies in nanoseconds.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)
        .expect("invariant: the bounds and the precision are valid constants")
}

/// A percentile of nanoseconds in microseconds, or `None` with fewer than ten samples above it.
pub(crate) fn percentile_us(histogram: &Histogram<u64>, percentile: f64) -> Option<f64> {
    let above = histogram.len() as f64 * (1.0 - percentile / 100.0);
    // A thousand samples have ten above their p99, give or take the last bit of a float.
    let enough = above + 1e-6 >= MIN_SAMPLES_ABOVE;
    enough.then(|| histogram.value_at_percentile(percentile) as f64 / 1e3)
}

/// A time in whole nanoseconds, as histograms take it.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(MAX_LATENCY_NS)
}

impl Stats {
    /// Nothing counted yet, of one operation.
    pub(crate) fn new() -> Self {
        Self::of(1, Duration::from_secs(1))
    }

    /// Nothing counted yet, of so many operations and a measured time of this length.
    pub(crate) fn of(operations: usize, duration: Duration) -> Self {
        Self {
            latency_ns: vec![latencies(); operations],
            lag_ns: latencies(),
            series: Series::new(duration),
            errors: BTreeMap::new(),
            first_fault: None,
            answers: 0,
            completed: 0,
            offered: 0,
            not_begun: 0,
            slow_checks: 0,
            answer_bytes: 0,
        }
    }

    /// Counts one round of the only operation within the measured time.
    pub(crate) fn record(&mut self, latency: Duration) {
        self.record_operation(0, latency);
    }

    /// Counts one operation of the measured time.
    pub(crate) fn record_operation(&mut self, operation: usize, latency: Duration) {
        self.latency_ns[operation].saturating_record(nanoseconds(latency));
    }

    /// Counts how late an operation began.
    pub(crate) fn record_lag(&mut self, lag: Duration) {
        self.lag_ns.saturating_record(nanoseconds(lag).max(1));
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
        let same = "invariant: all histograms have the same bounds";
        for (sum, more) in self.latency_ns.iter_mut().zip(&other.latency_ns) {
            sum.add(more).expect(same);
        }
        self.lag_ns.add(&other.lag_ns).expect(same);
        self.series.merge(other.series);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.first_fault = self.first_fault.take().or(other.first_fault);
        self.answers += other.answers;
        self.completed += other.completed;
        self.offered += other.offered;
        self.not_begun += other.not_begun;
        self.slow_checks += other.slow_checks;
        self.answer_bytes = self.answer_bytes.max(other.answer_bytes);
    }

    /// The latencies of all operations together.
    pub(crate) fn all_latencies(&self) -> Histogram<u64> {
        let mut all = latencies();
        for histogram in &self.latency_ns {
            all.add(histogram).expect("invariant: all histograms have the same bounds");
        }
        all
    }

    /// Samples of the measured time.
    pub(crate) fn samples(&self) -> u64 {
        self.latency_ns.iter().map(Histogram::len).sum()
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
        percentile_us(&self.all_latencies(), percentile)
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
        assert_eq!(stats.samples(), 1000);
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
        assert_eq!(one.samples(), 2);
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
