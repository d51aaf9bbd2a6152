//! The two clocks that a caller passes in, and how a recorded time is found again after a restart.

/// The time by two clocks, read once by the caller and passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that only runs on. Decides what is over.
    pub mono_ms: i64,
    /// Milliseconds since the epoch. Is told to others and orders tasks; stepping it expires nothing.
    pub wall_ms: u64,
}

impl Now {
    /// Where a time that was `relative_ms` away from `recorded_wall_ms` lies on this process's monotonic clock.
    ///
    /// A wall clock that went back counts as one that stood still.
    pub(crate) fn restore(self, relative_ms: i64, recorded_wall_ms: u64) -> i64 {
        let passed = i64::try_from(self.wall_ms.saturating_sub(recorded_wall_ms)).unwrap_or(i64::MAX);
        self.mono_ms.saturating_add(relative_ms).saturating_sub(passed)
    }

    /// The moment `ms` from now, at most a century ahead.
    pub(crate) fn after(self, ms: u64) -> i64 {
        const CENTURY_MS: u64 = 100 * 366 * 86_400_000;
        self.mono_ms.saturating_add(ms.min(CENTURY_MS) as i64)
    }
}
