//! What happened when: the measured time in equal pieces.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::stats::{MAX_LATENCY_NS, percentile_us};

/// Most pieces of a run.
const MAX_PIECES: u32 = 240;
/// The shortest piece.
const SHORTEST: Duration = Duration::from_millis(100);

/// Counts by pieces of the measured time.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    width: Duration,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Default)]
struct Piece {
    errors: u64,
    latency_ns: Option<Histogram<u64>>,
}

/// One piece in a report. Operations count where they ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    /// The end of the piece, in seconds from the begin of the measured time.
    pub(crate) at_s: f64,
    /// Operations a second.
    pub(crate) per_second: f64,
    pub(crate) errors: u64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) max_us: Option<f64>,
}

impl Series {
    /// A series for a measured time of this length.
    pub(crate) fn new(duration: Duration) -> Self {
        Self { width: SHORTEST.max(duration / MAX_PIECES), pieces: Vec::new() }
    }

    /// An operation ended so long after the begin.
    pub(crate) fn record(&mut self, after: Duration, latency_ns: u64) {
        let Some(piece) = self.piece(after) else { return };
        let histogram = piece.latency_ns.get_or_insert_with(|| {
            Histogram::new_with_bounds(1_000, MAX_LATENCY_NS, 2)
                .expect("invariant: the bounds and the precision are valid constants")
        });
        histogram.saturating_record(latency_ns);
    }

    /// Errors came so long after the begin.
    pub(crate) fn fail(&mut self, after: Duration, count: u64) {
        if let Some(piece) = self.piece(after) {
            piece.errors += count;
        }
    }

    /// Adds what another thread counted.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.pieces.len() < other.pieces.len() {
            self.pieces.resize_with(other.pieces.len(), Piece::default);
        }
        for (piece, other) in self.pieces.iter_mut().zip(other.pieces) {
            piece.errors += other.errors;
            match (&mut piece.latency_ns, other.latency_ns) {
                (Some(sum), Some(more)) => {
                    sum.add(&more).expect("invariant: all histograms have the same bounds");
                }
                (none @ None, more) => *none = more,
                (Some(_), None) => {}
            }
        }
    }

    /// The points of a measured time of `measured`; a piece that it ends in counts with its own length.
    pub(crate) fn points(&self, measured: Duration) -> Vec<Point> {
        // A server that stands still to the end leaves no pieces there, which is what is to be seen.
        let silent = Piece::default();
        let pieces = (0..2 * MAX_PIECES).map_while(|number| {
            let begin = self.width * number;
            let length = measured.checked_sub(begin).filter(|rest| !rest.is_zero())?.min(self.width);
            Some((self.pieces.get(number as usize).unwrap_or(&silent), begin + length, length))
        });
        // What is left of the last piece may be too short to say anything.
        let long_enough = pieces.filter(|(.., length)| *length * 4 > self.width);
        long_enough.map(|(piece, end, length)| piece.point(end, length)).collect()
    }

    fn piece(&mut self, after: Duration) -> Option<&mut Piece> {
        let at = (after.as_nanos() / self.width.as_nanos()) as usize;
        if at > 2 * MAX_PIECES as usize {
            return None;
        }
        if self.pieces.len() <= at {
            self.pieces.resize_with(at + 1, Piece::default);
        }
        self.pieces.get_mut(at)
    }
}

impl Piece {
    fn point(&self, end: Duration, length: Duration) -> Point {
        let histogram = self.latency_ns.as_ref();
        Point {
            at_s: end.as_secs_f64(),
            per_second: histogram.map_or(0, Histogram::len) as f64 / length.as_secs_f64(),
            errors: self.errors,
            p50_us: histogram.and_then(|histogram| percentile_us(histogram, 50.0)),
            p99_us: histogram.and_then(|histogram| percentile_us(histogram, 99.0)),
            max_us: histogram.map(|histogram| histogram.max() as f64 / 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_has_its_own_figures_and_threads_add_up() {
        let mut one = Series::new(Duration::from_secs(1));
        let mut two = one.clone();
        for at in 0..1000 {
            let slow = (300..400).contains(&at);
            one.record(Duration::from_millis(at), if slow { 50_000_000 } else { 1_000_000 });
        }
        two.fail(Duration::from_millis(950), 3);
        two.record(Duration::from_millis(1050), 7_000_000);
        one.merge(two);
        let points = one.points(Duration::from_secs(1));
        assert_eq!((points.len(), points[9].errors), (10, 3));
        assert!(points.iter().all(|point| (point.per_second - 1000.0).abs() < 1.0));
        let p50 = |at: usize| points[at].p50_us.unwrap();
        assert!(p50(3) > 49_000.0 && p50(2) < 1_100.0, "{points:?}");
        assert_eq!(points[3].p99_us, None, "a hundred samples have one above their p99");
        // Nothing ended from 1.1 s on: that is a throughput of zero, not the end of the run.
        let points = one.points(Duration::from_millis(1510));
        assert_eq!(points.len(), 15);
        assert!(
            points[11..].iter().all(|point| point.per_second == 0.0 && point.max_us.is_none()),
            "{points:?}"
        );
    }
}
