//! When a request is sent again, and how long after.

use std::time::Duration;

/// How requests that did not run are repeated: exponential backoff with full jitter, within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Repetitions of one request after its first attempt; 3 by default, 0 for none.
    pub max_retries: u32,
    /// The longest pause before the first repetition; it doubles with each. 100 ms by default.
    pub base: Duration,
    /// The longest pause before any repetition; 5 s by default. A server that asks for more is not asked again.
    pub max_delay: Duration,
    /// The time from the first attempt within which the last one may begin; 30 s by default.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            base: Duration::from_millis(100),
            max_delay: Duration::from_secs(5),
            total: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// No repetitions.
    pub fn none() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// The pause before the repetition after `retries` others, or `None` to give up. `asked` is the server's
    /// `Retry-After`, `elapsed` the time since the first attempt, `random` lies between 0 and 1.
    pub(crate) fn delay(
        &self,
        retries: u32,
        elapsed: Duration,
        asked: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if retries >= self.max_retries {
            return None;
        }
        let ceiling = self.base.saturating_mul(1 << retries.min(20)).min(self.max_delay);
        let jitter = ceiling.mul_f64(random.clamp(0.0, 1.0));
        // The jitter comes on top of what the server asked for: its clients should not all come back at once.
        let delay = asked.map_or(jitter, |asked| asked.saturating_add(jitter));
        let fits = asked.is_none_or(|asked| asked <= self.max_delay) && elapsed + delay <= self.total;
        fits.then_some(delay)
    }
}

/// A number from 0 to 1, each equally likely.
pub(crate) fn random() -> f64 {
    let bits = getrandom::u64().unwrap_or(u64::MAX / 2);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_jitter_is_full() {
        let policy = RetryPolicy { max_retries: 10, ..RetryPolicy::default() };
        let longest = |retries| policy.delay(retries, Duration::ZERO, None, 1.0).unwrap().as_millis();
        assert_eq!([longest(0), longest(1), longest(2), longest(9)], [100, 200, 400, 5_000]);
        assert_eq!(policy.delay(3, Duration::ZERO, None, 0.0), Some(Duration::ZERO));
        assert_eq!(policy.delay(3, Duration::ZERO, None, 0.5).unwrap().as_millis(), 400);
    }

    #[test]
    fn attempts_and_time_are_bounded() {
        let policy = RetryPolicy::default();
        assert!(policy.delay(2, Duration::ZERO, None, 1.0).is_some());
        assert_eq!(policy.delay(3, Duration::ZERO, None, 0.0), None);
        assert_eq!(policy.delay(0, policy.total, None, 1.0), None);
        assert_eq!(RetryPolicy::none().delay(0, Duration::ZERO, None, 0.0), None);
    }

    #[test]
    fn the_servers_wish_is_a_floor_and_too_long_a_wish_ends_it() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(0, Duration::ZERO, Some(SECOND), 0.0), Some(SECOND));
        assert!(policy.delay(0, Duration::ZERO, Some(SECOND), 1.0).unwrap() > SECOND);
        assert_eq!(policy.delay(0, Duration::ZERO, Some(60 * SECOND), 0.0), None);
    }

    #[test]
    fn random_numbers_lie_in_their_range() {
        assert!((0..100).map(|_| random()).all(|number| (0.0..1.0).contains(&number)));
    }
}
