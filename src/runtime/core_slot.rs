//! What one core and the watchdog share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The activity of a core that does nothing with a name.
pub(super) const NO_ACTIVITY: u32 = u32::MAX;

/// A quiet core ticks once in so many rounds of the watchdog.
pub(super) const SLOW_TICKS: u32 = 4;

/// Pokes without an answer after which the watchdog pokes less often: five seconds' worth.
const PATIENT_AFTER: u32 = 200;
/// Then only every so many rounds: about one poke a second.
const PATIENT_EVERY: u32 = 40;
/// Every poke that was not answered yet holds a reference to the tick's task, and the reactor counts those in 16 bits.
const MOST_UNANSWERED: u32 = 8_000;

/// The shared cells. The core writes them with plain stores; the watchdog reads.
#[derive(Debug)]
pub(super) struct CoreSlot {
    core: usize,
    start: Instant,
    /// The watchdog's thread, which sleeps longer while every core is quiet.
    watchdog: Option<Thread>,
    ticks: AtomicU64,
    ticked_at_ns: AtomicU64,
    busy_ns: AtomicU64,
    activity: AtomicU32,
    /// Nothing happens on the core and nothing is due, so it need not tick as often.
    quiet: AtomicBool,
    /// Rounds of the watchdog since the core's last tick.
    rounds: AtomicU32,
    /// Pokes among them.
    pokes: AtomicU32,
    stalled: AtomicBool,
    stalls: AtomicU64,
    /// The tick task's waker: put in once, taken out at the end, so the core meets this lock twice in its life.
    waker: Mutex<Option<Waker>>,
}

impl CoreSlot {
    pub(super) fn new(core: usize, now: Instant, watchdog: Option<Thread>) -> Self {
        Self {
            core,
            start: now,
            watchdog,
            ticks: AtomicU64::new(0),
            ticked_at_ns: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            activity: AtomicU32::new(NO_ACTIVITY),
            quiet: AtomicBool::new(false),
            rounds: AtomicU32::new(0),
            pokes: AtomicU32::new(0),
            stalled: AtomicBool::new(false),
            stalls: AtomicU64::new(0),
            waker: Mutex::new(None),
        }
    }

    pub(super) fn core(&self) -> usize {
        self.core
    }

    /// Puts the tick task's waker in, or takes it out. On the core only: a task's last waker is best dropped at home.
    pub(super) fn set_waker(&self, waker: Option<Waker>) {
        let old = std::mem::replace(&mut *self.waker.lock().unwrap_or_else(PoisonError::into_inner), waker);
        drop(old);
    }

    /// Records a tick. On the core only.
    pub(super) fn tick(&self, now: Instant, busy: Duration) {
        self.ticks.store(self.ticks() + 1, Ordering::Relaxed);
        self.busy_ns.store(nanos(busy), Ordering::Relaxed);
        self.rounds.store(0, Ordering::Relaxed);
        self.pokes.store(0, Ordering::Relaxed);
        self.ticked_at_ns.store(nanos(now.saturating_duration_since(self.start)), Ordering::Release);
    }

    /// Wakes the core's tick from outside, `rounds` ticks after the last time. On the watchdog's thread only.
    pub(super) fn poke(&self, rounds: u32) {
        let round = self.rounds.fetch_add(rounds, Ordering::Relaxed) + rounds;
        let slow = self.is_quiet() && round < SLOW_TICKS;
        // A round may count for several, and skip the one that is a multiple.
        let patient = round > PATIENT_AFTER && round / PATIENT_EVERY == (round - rounds) / PATIENT_EVERY;
        if slow || patient || self.pokes.load(Ordering::Relaxed) >= MOST_UNANSWERED {
            return;
        }
        // A core that is blocked, or parked by mistake, is poked again: one poke may have been used up by the mistake.
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            self.pokes.fetch_add(1, Ordering::Relaxed);
            waker.wake_by_ref();
        }
    }

    pub(super) fn tick_age(&self, now: Instant) -> Duration {
        let ticked = self.start + Duration::from_nanos(self.ticked_at_ns.load(Ordering::Acquire));
        now.saturating_duration_since(ticked)
    }

    pub(super) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    pub(super) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed))
    }

    pub(super) fn activity(&self) -> u32 {
        self.activity.load(Ordering::Relaxed)
    }

    /// Replaces the activity. On the core only.
    pub(super) fn set_activity(&self, activity: u32) {
        self.activity.store(activity, Ordering::Relaxed);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    /// On the core only.
    pub(super) fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    /// Ends the quiet and tells the watchdog, at the price of a system call. On the core only.
    pub(super) fn quicken(&self) {
        self.set_quiet(false);
        if let Some(watchdog) = &self.watchdog {
            watchdog.unpark();
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    pub(super) fn begin_stall(&self) {
        self.stalled.store(true, Ordering::Relaxed);
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_stall(&self) {
        self.stalled.store(false, Ordering::Relaxed);
    }

    pub(super) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
