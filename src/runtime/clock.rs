//! The coarse clock of one core: read without a system call, advanced by the core's tick.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time of this core's last tick, at most one tick (about 25 ms) old on a core that is not overloaded.
///
/// Where no watchdog ticks, and on a core that has been idle and ticks slowly, this is [`Instant::now`].
pub fn coarse_now() -> Instant {
    NOW.get().unwrap_or_else(Instant::now)
}

/// Moves this core's coarse clock; `None` hands it back to the system's clock.
pub(super) fn set_coarse_now(now: Option<Instant>) {
    NOW.set(now);
}
