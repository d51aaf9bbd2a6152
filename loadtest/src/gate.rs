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
    /// Operations that ended within the measured time, for the progress line.
    completed: AtomicU64,
}

impl Gate {
    /// A run whose connections are being opened.
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Opening as u8),
            measuring_since: OnceLock::new(),
            completed: AtomicU64::new(0),
        }
    }

    /// Goes on to `phase`.
    pub(crate) fn set(&self, phase: Phase) {
        if phase == Phase::Measuring {
            self.measuring_since.get_or_init(Instant::now);
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
}
