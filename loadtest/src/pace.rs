//! When operations begin: as soon as there is room (closed loop), or on a schedule that waits for nobody (open loop).

use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

/// How the arrivals of an open loop are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arrivals {
    /// All the same time apart.
    Uniform,
    /// As if from very many clients that know nothing of each other: exponential gaps.
    Poisson,
}

/// What sets the pace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "kebab-case")]
pub(crate) enum Pace {
    /// Each connection begins its next operation when one has ended.
    Closed,
    /// Operations begin on a schedule.
    Open {
        /// Operations a second, all generator threads together.
        rate: f64,
        arrivals: Arrivals,
    },
}

/// A small generator of pseudo-random numbers (splitmix64): the same seed, the same numbers, on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, of all that fit.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next fraction, from 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The intended starts of one generator thread, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    start: Instant,
    gap_s: f64,
    arrivals: Arrivals,
    random: Random,
    /// Seconds from the start to the next arrival. A sum of gaps as a float is exact to a nanosecond for weeks.
    next_s: f64,
}

impl Schedule {
    /// `rate` arrivals a second from `start` on, of which this is part `index` of `parts` equal ones.
    pub(crate) fn new(
        start: Instant,
        rate: f64,
        arrivals: Arrivals,
        seed: u64,
        (index, parts): (usize, usize),
    ) -> Self {
        let mut random = Random::new(seed ^ (index as u64).wrapping_mul(0xa076_1d64_78bd_642f));
        let gap_s = parts as f64 / rate;
        let next_s = match arrivals {
            // The parts take turns, so that together they are uniform too.
            Arrivals::Uniform => gap_s * (index + 1) as f64 / parts as f64,
            Arrivals::Poisson => exponential(&mut random, gap_s),
        };
        Self { start, gap_s, arrivals, random, next_s }
    }

    /// When the next arrival is intended.
    pub(crate) fn next(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.next_s)
    }

    /// Takes the next arrival if its time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Instant> {
        let next = self.next();
        if next > now {
            return None;
        }
        self.next_s += match self.arrivals {
            Arrivals::Uniform => self.gap_s,
            Arrivals::Poisson => exponential(&mut self.random, self.gap_s),
        };
        Some(next)
    }
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * (1.0 - random.fraction()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(arrivals: Arrivals, seed: u64, part: (usize, usize)) -> Vec<f64> {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 1000.0, arrivals, seed, part);
        let end = start + Duration::from_secs(10);
        std::iter::from_fn(|| schedule.take_due(end)).map(|at| (at - start).as_secs_f64()).collect()
    }

    #[test]
    fn uniform_arrivals_are_the_same_time_apart_and_threads_take_turns() {
        let all = taken(Arrivals::Uniform, 1, (0, 1));
        assert!((9_999..=10_001).contains(&all.len()), "{}", all.len());
        assert!(all.windows(2).all(|pair| (pair[1] - pair[0] - 0.001).abs() < 1e-6));
        let mut halves = [taken(Arrivals::Uniform, 1, (0, 2)), taken(Arrivals::Uniform, 1, (1, 2))].concat();
        halves.sort_by(f64::total_cmp);
        assert!(halves.windows(2).all(|pair| (pair[1] - pair[0] - 0.001).abs() < 1e-6));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_kind_and_repeat_with_the_seed() {
        let all = taken(Arrivals::Poisson, 7, (0, 1));
        // Five standard deviations of a count whose variance is its mean.
        assert!((9_500..=10_500).contains(&all.len()), "{}", all.len());
        let gaps: Vec<f64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let spread = variance.sqrt() / mean;
        assert!((0.9..1.1).contains(&spread), "{spread}");
        assert_eq!(all, taken(Arrivals::Poisson, 7, (0, 1)));
        assert_ne!(all, taken(Arrivals::Poisson, 8, (0, 1)));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 10.0, Arrivals::Uniform, 1, (0, 1));
        assert_eq!(schedule.take_due(start + Duration::from_millis(99)), None);
        let late = start + Duration::from_millis(350);
        assert_eq!(std::iter::from_fn(|| schedule.take_due(late)).count(), 3);
    }
}
