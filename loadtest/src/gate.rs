//! The phases of a run, which its main thread sets and every generator thread reads before each batch.
//!
//! The main thread reads the processes' CPU times and turns the phase at the same moment, so that the answers counted and the
//! CPU time between the two readings belong together even when a thread wakes late.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Connections are being opened; nothing is sent.
    Opening,
    /// Requests are sent, answers are checked and not counted.
    WarmUp,
    /// Answers are counted.
    Measuring,
    /// Nothing more is sent.
    Over,
}

/// The phase of one run, shared by its threads.
#[derive(Debug)]
pub(crate) struct Gate {
    phase: AtomicU8,
    measuring_since: OnceLock<Instant>,
    over_since: OnceLock<Instant>,
    /// Operations that ended within the measured time, for the progress line.
    completed: AtomicU64,
}

impl Gate {
    /// A run whose connections are being opened.
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Opening as u8),
            measuring_since: OnceLock::new(),
            over_since: OnceLock::new(),
            completed: AtomicU64::new(0),
        }
    }

    /// Goes on to `phase`.
    pub(crate) fn set(&self, phase: Phase) {
        if phase == Phase::Measuring {
            self.measuring_since.get_or_init(Instant::now);
        }
        if phase == Phase::Over {
            self.over_since.get_or_init(Instant::now);
        }
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        const PHASES: [Phase; 4] = [Phase::Opening, Phase::WarmUp, Phase::Measuring, Phase::Over];
        PHASES[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// How long the measured time has lasted at `now`; `None` before and after it.
    pub(crate) fn measured_for(&self, now: Instant) -> Option<Duration> {
        let measuring = self.phase() == Phase::Measuring;
        let since = self.measuring_since.get().filter(|_| measuring)?;
        Some(now.saturating_duration_since(*since))
    }

    /// Whether an operation that was to begin at `at` belongs to the measured time, whenever that is asked.
    pub(crate) fn measures(&self, at: Instant) -> bool {
        let begun = self.measuring_since.get().is_some_and(|since| *since <= at);
        begun && self.over_since.get().is_none_or(|over| at < *over)
    }

    /// When the measured time ended; `None` before that.
    pub(crate) fn over_since(&self) -> Option<Instant> {
        self.over_since.get().copied()
    }

    /// Counts an operation that ended.
    pub(crate) fn count_completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Operations that ended within the measured time so far.
    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_back_as_they_were_set() {
        let gate = Gate::new();
        assert_eq!(gate.phase(), Phase::Opening);
        for phase in [Phase::WarmUp, Phase::Measuring, Phase::Over] {
            gate.set(phase);
            assert_eq!(gate.phase(), phase);
        }
    }

    #[test]
    fn what_is_measured_is_told_by_the_intended_start_whenever_it_is_asked() {
        let gate = Gate::new();
        let warm = Instant::now();
        gate.set(Phase::WarmUp);
        std::thread::sleep(Duration::from_millis(1));
        gate.set(Phase::Measuring);
        let measured = Instant::now();
        assert!(!gate.measures(warm) && gate.measures(measured) && gate.over_since().is_none());
        std::thread::sleep(Duration::from_millis(1));
        gate.set(Phase::Over);
        assert!(!gate.measures(warm) && gate.measures(measured) && !gate.measures(Instant::now()));
        assert!(gate.over_since().is_some_and(|over| over > measured));
    }
}
