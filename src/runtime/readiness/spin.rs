//! Whether to look once more before going to sleep.
//!
//! Going to sleep and being woken costs a core some 30 µs. One that spins for about as long pays little more than twice
//! that when nothing comes (the rule for renting skis: Karlin and others, "Competitive snoopy caching", 1988), and less
//! when something does. So it spins only while that has been paying off, and tries again now and then.
//!
//! Pure: time comes in as an argument.

use std::time::{Duration, Instant};

/// Nobody looks for longer than this.
const MAX_SPIN: Duration = Duration::from_millis(1);
/// The most that is remembered of the past.
const MAX_SCORE: u32 = 8;
/// A loss weighs as much as two wins: it costs more than a win saves.
const LOSS: u32 = 2;
/// Without a score, one sleep in so many is put off for a trial.
const TRIAL_EVERY: u32 = 64;

/// A core's habit of spinning.
#[derive(Debug)]
pub(super) struct Spin {
    longest: Duration,
    score: u32,
    sleeps: u32,
    until: Option<Instant>,
}

impl Spin {
    /// Spins for `longest` at most, up to a millisecond; zero is never.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest: longest.min(MAX_SPIN), score: 0, sleeps: 0, until: None }
    }

    /// Something came. Was it worth waiting for?
    pub(super) fn won(&mut self) {
        if self.until.take().is_some() {
            self.score = (self.score + 1).min(MAX_SCORE);
        }
    }

    /// The core goes to sleep for another reason. That is neither a win nor a loss.
    pub(super) fn stops(&mut self) {
        self.until = None;
    }

    /// Nothing is there: whether to go on looking instead of going to sleep.
    pub(super) fn goes_on(&mut self, now: Instant) -> bool {
        match self.until {
            Some(until) if now < until => true,
            Some(_) => {
                self.until = None;
                self.score = self.score.saturating_sub(LOSS);
                false
            }
            None if self.longest.is_zero() => false,
            None => {
                self.sleeps = (self.sleeps + 1) % TRIAL_EVERY;
                if self.score > 0 || self.sleeps == 0 {
                    self.until = Some(now + self.longest);
                }
                self.until.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_micros(50);

    /// The time spent spinning before `gaps` were over, each of them after the last one's event.
    fn spent(longest: Duration, gaps: impl Iterator<Item = Duration>) -> Duration {
        let mut spin = Spin::new(longest);
        let mut now = Instant::now();
        let mut spent = Duration::ZERO;
        for gap in gaps {
            let (begun, event) = (now, now + gap);
            while now < event && spin.goes_on(now) {
                now += Duration::from_micros(1);
            }
            spent += now - begun;
            now = now.max(event);
            spin.won();
        }
        spent
    }

    #[test]
    fn what_comes_soon_is_waited_for() {
        let gap = Duration::from_micros(20);
        let spent = spent(LONGEST, std::iter::repeat_n(gap, 1_000));
        assert!(spent > gap * 900, "{spent:?}");
    }

    #[test]
    fn what_comes_late_is_hardly_waited_for() {
        let spent = spent(LONGEST, std::iter::repeat_n(Duration::from_millis(1), 6_400));
        assert!(spent < LONGEST * 6_400 / 50, "{spent:?}");
        assert!(spent > Duration::ZERO, "now and then it is tried");
    }

    #[test]
    fn half_of_them_soon_is_too_few() {
        let gaps = (0..10_000).map(|n| Duration::from_micros(if n % 2 == 0 { 10 } else { 1_000 }));
        let spent = spent(LONGEST, gaps);
        assert!(spent < LONGEST * 10_000 / 20, "{spent:?}");
    }

    #[test]
    fn zero_never_spins() {
        let spent = spent(Duration::ZERO, std::iter::repeat_n(Duration::from_micros(1), 1_000));
        assert_eq!(spent, Duration::ZERO);
    }
}
