//! How long a call may take: its own time, which stands still while it waits for its client's answer to a question, and
//! the time of that wait.

use std::time::{Duration, Instant};

/// The time of a call that takes as long as it likes.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(crate) struct CallTime {
    /// When its own time is up, were it not to stand still.
    expires_at: Instant,
    wait: Wait,
}

/// Whether the call waits for its client.
enum Wait {
    No,
    Open {
        /// The number of the question that it asked last.
        question: u32,
        since: Instant,
        until: Instant,
    },
    /// It was told to wait no longer, and has not drawn the consequence yet.
    GivenUp {
        question: u32,
    },
}

/// What is up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Call,
    Question,
}

impl CallTime {
    pub(crate) fn new(expires_at: Instant) -> Self {
        Self { expires_at, wait: Wait::No }
    }

    /// Moves the call's own time on by as much as it stood still until now, and returns that; to be called before the
    /// handler runs, so that it knows. Asks for the time only during a wait.
    pub(crate) fn catch_up(&mut self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let Wait::Open { since, .. } = &mut self.wait else { return None };
        let now = now();
        let stood_still = now.saturating_duration_since(std::mem::replace(since, now));
        self.expires_at = after(self.expires_at, stood_still);
        Some(stood_still)
    }

    /// Notes which question the call asked last, while it waits for its client; the client has `time` from each new one
    /// on. Where a wait has ended, returns for how long the call's own time stood still.
    pub(crate) fn note(
        &mut self,
        question: Option<u32>,
        time: Duration,
        now: impl FnOnce() -> Instant,
    ) -> Option<Duration> {
        let known = match self.wait {
            Wait::No => None,
            Wait::Open { question, .. } | Wait::GivenUp { question } => Some(question),
        };
        if question == known {
            return None;
        }
        let now = now();
        let stood_still = self.catch_up(|| now);
        self.wait = match question {
            Some(question) => Wait::Open { question, since: now, until: after(now, time) },
            None => Wait::No,
        };
        stood_still
    }

    /// Notes that the call was told to wait no longer: its own time goes on. Returns for how long it stood still.
    pub(crate) fn give_up(&mut self, now: Instant) -> Option<Duration> {
        let stood_still = self.catch_up(|| now);
        if let Wait::Open { question, .. } = self.wait {
            self.wait = Wait::GivenUp { question };
        }
        stood_still
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        match self.wait {
            Wait::Open { until, .. } => until,
            _ => self.expires_at,
        }
    }

    /// What is up at this time, if anything is.
    pub(crate) fn over(&self, now: Instant) -> Option<Over> {
        if now < self.deadline() {
            return None;
        }
        Some(if matches!(self.wait, Wait::Open { .. }) { Over::Question } else { Over::Call })
    }
}

fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or_else(|| now + FOREVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_calls_own_time_stands_still_while_it_asks() {
        let begin = Instant::now();
        let at = |seconds: u32| begin + seconds * SECOND;
        let mut time = CallTime::new(at(10));
        assert_eq!((time.over(at(9)), time.over(at(10))), (None, Some(Over::Call)));
        assert_eq!(time.note(Some(1), 60 * SECOND, || at(4)), None);
        assert_eq!(time.note(Some(1), 60 * SECOND, || unreachable!("nothing has changed")), None);
        assert_eq!((time.deadline(), time.over(at(63))), (at(64), None));
        assert_eq!(time.catch_up(|| at(20)), Some(16 * SECOND));
        assert_eq!((time.deadline(), time.over(at(63))), (at(64), None));
        assert_eq!(time.note(None, 60 * SECOND, || at(30)), Some(10 * SECOND));
        assert_eq!(time.catch_up(|| unreachable!("it does not wait")), None);
        assert_eq!((time.over(at(35)), time.over(at(36))), (None, Some(Over::Call)));
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_the_call_its_rest() {
        let begin = Instant::now();
        let at = |seconds: u32| begin + seconds * SECOND;
        let mut time = CallTime::new(at(10));
        time.note(Some(1), 5 * SECOND, || at(4));
        assert_eq!(time.over(at(9)), Some(Over::Question));
        assert_eq!(time.give_up(at(9)), Some(5 * SECOND));
        assert_eq!(time.note(Some(1), 5 * SECOND, || unreachable!()), None, "it has not noticed yet");
        assert_eq!((time.over(at(14)), time.over(at(15))), (None, Some(Over::Call)));
        assert_eq!(time.note(None, 5 * SECOND, || at(9)), None);
        time.note(Some(2), 5 * SECOND, || at(10));
        assert_eq!(time.over(at(15)), Some(Over::Question), "and may ask again");
    }

    #[test]
    fn each_question_has_all_of_its_time() {
        let begin = Instant::now();
        let at = |seconds: u32| begin + seconds * SECOND;
        let mut time = CallTime::new(at(10));
        time.note(Some(1), 5 * SECOND, || at(1));
        // The next one follows the answer before anyone saw the wait end.
        assert_eq!(time.note(Some(2), 5 * SECOND, || at(5)), Some(4 * SECOND));
        assert_eq!((time.over(at(9)), time.over(at(10))), (None, Some(Over::Question)));
        time.give_up(at(10));
        assert_eq!(time.note(Some(3), 5 * SECOND, || at(10)), None);
        assert_eq!((time.over(at(14)), time.over(at(15))), (None, Some(Over::Question)));
        assert_eq!(time.note(None, 5 * SECOND, || at(12)), Some(2 * SECOND));
        assert_eq!(time.deadline(), at(10 + 4 + 5 + 2));
    }

    #[test]
    fn a_wait_beyond_the_clock_is_a_long_one() {
        let begin = Instant::now();
        let mut time = CallTime::new(begin);
        time.note(Some(1), Duration::MAX, || begin);
        assert!(time.deadline() > begin + 365 * 86_400 * SECOND);
    }
}
