//! Faster, slower, or no difference shown: decided by the ratios of paired rounds.
//!
//! The rule, for one metric of one load. The two servers run next to each other in every round, so each round gives one
//! ratio, left over right, that a slow minute of the machine leaves alone. The interval of the median ratio is the one of
//! the sign test: from the k-th smallest to the k-th largest ratio, with the largest k for which that holds the true
//! median with a probability of at least 95 %, whatever the distribution is. A difference is shown when the interval
//! leaves out 1 and the median is at least 3 % away from it. Fewer than six pairs have no such interval: void.
//! With seven pairs the interval is the smallest and the largest ratio, and holds the median with 98.4 %.

use serde::Serialize;

use crate::stats::Spread;

/// The least probability with which the interval holds the true median.
pub(crate) const CONFIDENCE: f64 = 0.95;
/// The smallest change that counts: with the factor 1.03 or its inverse.
pub(crate) const LEAST_FACTOR: f64 = 1.03;
/// Rounds of a comparison; with fewer, one void run can leave too few pairs.
pub(crate) const LEAST_ROUNDS: u32 = 7;

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// What the left server is, next to the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Faster,
    Slower,
    NoDifferenceShown,
    /// Too few rounds in which both sides count.
    Void,
}

impl Verdict {
    /// The verdict as reports name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifferenceShown => "no_difference_shown",
            Self::Void => "void",
        }
    }

    /// The verdict in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifferenceShown => "no difference shown",
            Self::Void => "void",
        }
    }
}

/// One metric of two servers, round by round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Paired {
    pub(crate) left_median: Option<f64>,
    pub(crate) right_median: Option<f64>,
    /// The median of the ratios, not the ratio of the medians.
    pub(crate) ratio_median: Option<f64>,
    /// The interval of the median ratio; the smallest and the largest ratio where there are too few pairs for one.
    pub(crate) ratio_low: Option<f64>,
    pub(crate) ratio_high: Option<f64>,
    /// Rounds in which both sides count.
    pub(crate) pairs: usize,
    /// All rounds.
    pub(crate) rounds: usize,
    pub(crate) verdict: Verdict,
}

impl Paired {
    /// Judges `left` against `right`, each in the order of the rounds; `None` is a round that does not count.
    pub(crate) fn new(left: &[Option<f64>], right: &[Option<f64>], better: Better) -> Self {
        let pairs = left.iter().zip(right).filter_map(|(left, right)| Some(((*left)?, (*right)?)));
        let pairs: Vec<(f64, f64)> = pairs.filter(|(left, right)| *left > 0.0 && *right > 0.0).collect();
        let mut ratios: Vec<f64> = pairs.iter().map(|(left, right)| left / right).collect();
        ratios.retain(|ratio| ratio.is_finite());
        ratios.sort_by(f64::total_cmp);
        let median = |values: Vec<f64>| Spread::of(values).map(|spread| spread.median);
        let cut = cut(ratios.len());
        let at = cut.unwrap_or(0);
        let mut paired = Self {
            left_median: median(pairs.iter().map(|pair| pair.0).collect()),
            right_median: median(pairs.iter().map(|pair| pair.1).collect()),
            ratio_median: median(ratios.clone()),
            ratio_low: ratios.get(at).copied(),
            ratio_high: ratios.len().checked_sub(at + 1).map(|high| ratios[high]),
            pairs: ratios.len(),
            rounds: left.len().max(right.len()),
            verdict: Verdict::Void,
        };
        if cut.is_some() {
            paired.verdict = paired.decide(better);
        }
        paired
    }

    fn decide(&self, better: Better) -> Verdict {
        let (Some(median), Some(low), Some(high)) = (self.ratio_median, self.ratio_low, self.ratio_high)
        else {
            return Verdict::Void;
        };
        let more = low > 1.0 && median >= LEAST_FACTOR;
        let less = high < 1.0 && median <= LEAST_FACTOR.recip();
        match better {
            _ if !more && !less => Verdict::NoDifferenceShown,
            Better::More if more => Verdict::Faster,
            Better::Less if less => Verdict::Faster,
            _ => Verdict::Slower,
        }
    }
}

/// How many of the sorted ratios lie outside of the interval on each side; `None` where no interval is sure enough.
fn cut(pairs: usize) -> Option<usize> {
    // Half of all ratios lie below the true median; how many of these do is binomial.
    let mut chance = 0.5_f64.powi(i32::try_from(pairs).ok()?);
    let mut below = chance;
    let mut cut = None;
    for outside in 0..pairs / 2 {
        if 1.0 - 2.0 * below < CONFIDENCE {
            break;
        }
        cut = Some(outside);
        chance *= (pairs - outside) as f64 / (outside + 1) as f64;
        below += chance;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(left: &[f64], right: &[f64], better: Better) -> Paired {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        Paired::new(&some(left), &some(right), better)
    }

    const SERIES: [f64; 7] = [101.0, 97.0, 110.0, 99.0, 103.0, 88.0, 100.0];

    #[test]
    fn identical_series_show_no_difference() {
        let same = judged(&SERIES, &SERIES, Better::More);
        assert_eq!((same.verdict, same.pairs, same.rounds), (Verdict::NoDifferenceShown, 7, 7));
        assert_eq!((same.ratio_median, same.ratio_low, same.ratio_high), (Some(1.0), Some(1.0), Some(1.0)));
        assert_eq!((same.left_median, same.right_median), (Some(100.0), Some(100.0)));
    }

    #[test]
    fn twice_the_throughput_is_faster_and_twice_the_latency_is_slower() {
        let double = SERIES.map(|value| 2.0 * value);
        assert_eq!(judged(&double, &SERIES, Better::More).verdict, Verdict::Faster);
        assert_eq!(judged(&double, &SERIES, Better::More).ratio_median, Some(2.0));
        assert_eq!(judged(&SERIES, &double, Better::More).verdict, Verdict::Slower);
        assert_eq!(judged(&double, &SERIES, Better::Less).verdict, Verdict::Slower);
        assert_eq!(judged(&SERIES, &double, Better::Less).verdict, Verdict::Faster);
    }

    #[test]
    fn a_small_or_an_unsteady_difference_is_not_shown() {
        let slightly = SERIES.map(|value| 1.029 * value);
        assert_eq!(judged(&slightly, &SERIES, Better::More).verdict, Verdict::NoDifferenceShown);
        let enough = SERIES.map(|value| 1.031 * value);
        assert_eq!(judged(&enough, &SERIES, Better::More).verdict, Verdict::Faster);
        let mut once_slower = SERIES.map(|value| 1.5 * value);
        once_slower[3] = 0.9 * SERIES[3];
        let judged = judged(&once_slower, &SERIES, Better::More);
        assert_eq!((judged.verdict, judged.ratio_median), (Verdict::NoDifferenceShown, Some(1.5)));
    }

    #[test]
    fn a_slow_minute_of_the_machine_is_on_both_sides_of_a_pair() {
        let machine = [1.0, 0.5, 0.3, 1.2, 0.9, 0.4, 1.1];
        let left = machine.map(|speed| 120.0 * speed);
        let right = machine.map(|speed| 100.0 * speed);
        assert_eq!(judged(&left, &right, Better::More).verdict, Verdict::Faster);
    }

    #[test]
    fn void_rounds_leave_fewer_pairs_and_two_of_seven_leave_too_few() {
        let mut left: Vec<Option<f64>> = SERIES.iter().map(|value| Some(2.0 * value)).collect();
        let right: Vec<Option<f64>> = SERIES.iter().copied().map(Some).collect();
        left[2] = None;
        let six = Paired::new(&left, &right, Better::More);
        assert_eq!((six.verdict, six.pairs, six.rounds), (Verdict::Faster, 6, 7));
        left[5] = None;
        let five = Paired::new(&left, &right, Better::More);
        assert_eq!((five.verdict, five.pairs, five.rounds), (Verdict::Void, 5, 7));
        let none = Paired::new(&[None; 7], &right, Better::More);
        assert_eq!(
            (none.verdict, none.pairs, none.ratio_low, none.ratio_high),
            (Verdict::Void, 0, None, None)
        );
    }

    #[test]
    fn the_interval_has_the_ranks_of_the_sign_test() {
        // From tables of the confidence interval of a median: how many values lie outside on each side.
        for (pairs, outside) in [(6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (15, 3), (17, 4), (20, 5), (25, 7)]
        {
            assert_eq!(cut(pairs), Some(outside), "{pairs}");
        }
        assert!((0..6).all(|pairs| cut(pairs).is_none()));
        assert!(cut(101).is_some_and(|outside| outside == 40), "{:?}", cut(101));
    }
}
