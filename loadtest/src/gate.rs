//! The phases of a run, which its main thread sets and every generator thread reads before each batch.
//!
//! The main thread reads the processes' CPU times and turns the phase at the same moment, so that the answers counted and the
//! CPU time between the two readings belong together even when a thread wakes late.

use std::sync::atomic::{AtomicU8, Ordering};

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
pub(crate) struct Gate(AtomicU8);

impl Gate {
    /// A run whose connections are being opened.
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Phase::Opening as u8))
    }

    /// Goes on to `phase`.
    pub(crate) fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        const PHASES: [Phase; 4] = [Phase::Opening, Phase::WarmUp, Phase::Measuring, Phase::Over];
        PHASES[usize::from(self.0.load(Ordering::Acquire))]
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
