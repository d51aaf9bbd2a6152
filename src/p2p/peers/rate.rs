//! A rate with a burst, kept in one atomic number (the generic cell rate algorithm).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NANOS_PER_S: u64 = 1_000_000_000;

/// Admits `per_s` a second, and `burst` at once after a pause.
///
/// Time is counted in slots, `per_s` of them a second from the epoch on, and each admission takes the next free slot,
/// at most `burst` ahead of the clock. Slots are whole numbers found from the time itself, so nothing adds up to a drift:
/// from a pause on, no more is admitted in a time than its slots and the burst.
#[derive(Debug)]
pub struct Rate {
    per_s: u64,
    burst: u64,
    /// The first slot that nobody has taken, or one in the past.
    next: AtomicU64,
}

impl Rate {
    /// A rate; `per_s` is from 1 to 1,000,000,000 and `burst` at least 1, anything else is brought there.
    pub fn new(per_s: u64, burst: u64) -> Rate {
        Rate { per_s: per_s.clamp(1, NANOS_PER_S), burst: burst.max(1), next: AtomicU64::new(0) }
    }

    /// Admits one more, or not. `now` is the time since an epoch that all calls share; a caller whose clock is behind the
    /// others' by more than the burst takes is refused until it has caught up, so give it a precise one.
    pub fn admit(&self, now: Duration) -> bool {
        let slot = self.slot(now);
        let take = |next: u64| {
            let taken = next.max(slot);
            (taken - slot < self.burst).then_some(taken.saturating_add(1))
        };
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// The slot that the clock is in. A whole second has exactly `per_s` of them, and the rest of one is below 10^18.
    fn slot(&self, now: Duration) -> u64 {
        let seconds = now.as_secs().saturating_mul(self.per_s);
        seconds.saturating_add(u64::from(now.subsec_nanos()) * self.per_s / NANOS_PER_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(rate: &Rate, now: Duration, tries: u64) -> u64 {
        (0..tries).filter(|_| rate.admit(now)).count() as u64
    }

    #[test]
    fn the_burst_comes_at_once_and_the_rest_at_its_rate() {
        let rate = Rate::new(10, 3);
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(admitted(&rate, at(5_000), 10), 3);
        assert_eq!(admitted(&rate, at(5_099), 10), 0);
        assert_eq!(admitted(&rate, at(5_100), 10), 1);
        assert_eq!(admitted(&rate, at(5_250), 10), 1);
        assert_eq!(admitted(&rate, at(5_300), 10), 1);
        // A pause gives the burst back, and no more than that.
        assert_eq!(admitted(&rate, at(5_600), 10), 3);
        assert_eq!(admitted(&rate, at(3_600_000), 10), 3);
    }

    #[test]
    fn nothing_drifts_at_rates_that_do_not_divide_a_second() {
        for per_s in [1, 3, 7, 999, 999_983, 333_333_333] {
            let (rate, burst) = (Rate::new(per_s, 2), 2);
            // Long runs at odd instants: what is admitted is what the time has slots for, to the last one.
            let step = Duration::from_nanos(NANOS_PER_S / per_s / 3 + 1);
            let (mut now, mut count) = (Duration::ZERO, 0);
            for _ in 0..30_000 {
                count += admitted(&rate, now, 3);
                now += step;
            }
            now -= step;
            let slots = (now.as_nanos() * u128::from(per_s) / u128::from(NANOS_PER_S)) as u64;
            assert_eq!(count, slots + burst, "{per_s} a second");
        }
    }

    #[test]
    fn the_largest_rate_and_the_longest_time_do_not_overflow() {
        let rate = Rate::new(u64::MAX, u64::MAX);
        let century = Duration::from_secs(100 * 365 * 86_400);
        assert!(rate.admit(Duration::ZERO) && rate.admit(century) && rate.admit(century));
        assert!(rate.admit(Duration::MAX) && rate.admit(Duration::MAX));
        let small = Rate::new(0, 0);
        assert_eq!(admitted(&small, century, 5), 1);
    }

    #[test]
    fn a_clock_behind_the_others_admits_nothing_twice() {
        let rate = Rate::new(1_000, 1);
        assert!(rate.admit(Duration::from_millis(20)));
        assert!(!rate.admit(Duration::from_millis(19)));
        assert!(!rate.admit(Duration::from_millis(20)));
        assert!(rate.admit(Duration::from_millis(21)));
    }

    #[test]
    fn cores_that_ask_at_once_share_one_rate() {
        let rate = Rate::new(1, 1_000);
        let count: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| admitted(&rate, Duration::ZERO, 600))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(count, 1_000);
    }
}
