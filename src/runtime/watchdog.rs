//! The one thread that wakes every core again and again, and sees which one does not answer.
//!
//! Three things hang on it. The reactor can park with runnable tasks (a preemption that comes before anything has run
//! counts as having nothing to run); a poke from outside wakes it, also where it starts or ends (see
//! [`super::lifeline`]). The core's tick moves its coarse clock and expires its deadlines, without a timer of the core's
//! own. And a core whose tick is old is blocked, by something that has a name.
//!
//! A tick costs a core about ten system calls. A core on which nothing happens and nothing is due is poked every fourth
//! round only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::core_slot::{CoreSlot, NO_ACTIVITY, SLOW_TICKS};
use super::tick::CoreTick;
use super::wheel::TICK;

/// How the watchdog watches.
#[derive(Debug, Clone)]
pub struct WatchdogSettings {
    /// A core whose last tick is older than this is stalled. 500 ms by default, at least 200 ms: an idle core ticks
    /// every 100 ms.
    pub stall_after: Duration,
    /// The names of what a core may be doing, by the index that [`super::Activity::enter`] takes.
    pub activities: Vec<String>,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self { stall_after: Duration::from_millis(500), activities: Vec::new() }
    }
}

/// What is known of one core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreHealth {
    /// The number it was registered by.
    pub core: usize,
    /// How long ago it ticked.
    pub last_tick_age: Duration,
    /// Whether that is longer than a live core takes.
    pub stalled: bool,
    /// How often it has been stalled.
    pub stalls: u64,
    /// How often it has ticked.
    pub ticks: u64,
    /// How long it has worked, as of its last tick.
    pub busy: Duration,
    /// What it is doing, where that has a name.
    pub activity: Option<String>,
}

/// The watchdog of the process. Clones are handles to the same one; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Watchdog {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    settings: WatchdogSettings,
    cores: Mutex<Vec<Arc<CoreSlot>>>,
    /// Executors whose root is woken where no tick is. Nobody judges these.
    held: Mutex<Vec<Arc<CoreSlot>>>,
    stop: AtomicBool,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(mut settings: WatchdogSettings) -> std::io::Result<Watchdog> {
        settings.stall_after = settings.stall_after.max(8 * TICK);
        let shared = Shared {
            settings,
            cores: Mutex::default(),
            held: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("watchdog".to_owned()).stack_size(128 << 10);
        let thread = thread.spawn(move || watched.watch())?;
        Ok(Watchdog { owner: Arc::new(Owner { shared, thread: Some(thread) }) })
    }

    /// Takes the calling executor under watch and starts its tick, which lasts as long as the guard.
    ///
    /// # Panics
    /// On a thread that runs no executor.
    pub fn register(&self, core: usize) -> CoreTick {
        let thread = self.owner.thread.as_ref().map(|thread| thread.thread().clone());
        let slot = Arc::new(CoreSlot::new(core, Instant::now(), thread));
        self.owner.shared.cores().push(Arc::clone(&slot));
        slot.quicken();
        CoreTick::start(slot, Arc::clone(&self.owner.shared))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.owner.shared)
    }

    /// What is known of each core that is registered now, in the order of their numbers.
    pub fn report(&self) -> Vec<CoreHealth> {
        let shared = &self.owner.shared;
        let now = Instant::now();
        let mut report: Vec<_> = shared.cores().iter().map(|slot| shared.health(slot, now)).collect();
        report.sort_by_key(|health| health.core);
        report
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It panics only if the log does, and then there is nowhere to say so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The list is only ever pushed to and removed from, so it is whole even if a holder of the lock panicked.
    fn cores(&self) -> MutexGuard<'_, Vec<Arc<CoreSlot>>> {
        self.cores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Shared::cores`].
    fn held(&self) -> MutexGuard<'_, Vec<Arc<CoreSlot>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes an executor's root from now on, as long as its slot has a waker.
    pub(super) fn hold(&self, slot: Arc<CoreSlot>) {
        self.held().push(slot);
    }

    pub(super) fn let_go(&self, slot: &Arc<CoreSlot>) {
        self.held().retain(|known| !Arc::ptr_eq(known, slot));
    }

    pub(super) fn forget(&self, slot: &Arc<CoreSlot>) {
        self.cores().retain(|known| !Arc::ptr_eq(known, slot));
    }

    fn watch(&self) {
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let cores = self.cores().clone();
            let pause = if cores.iter().all(|slot| slot.is_quiet()) { TICK * SLOW_TICKS } else { TICK };
            thread::park_timeout(pause);
            let now = Instant::now();
            let passed = now - last;
            // After a pause of this very thread (a suspended process) every core looks late, and none is to blame.
            let judging = passed < pause + self.settings.stall_after / 2;
            last = now;
            let rounds = (passed.as_nanos() / TICK.as_nanos()).clamp(1, 1_000) as u32;
            for slot in &cores {
                if judging {
                    self.judge(slot, now);
                }
                slot.poke(rounds);
            }
            let held = self.held().clone();
            held.iter().for_each(|slot| slot.poke(rounds));
        }
    }

    fn judge(&self, slot: &CoreSlot, now: Instant) {
        let age = slot.tick_age(now);
        match (age > self.settings.stall_after, slot.is_stalled()) {
            (true, false) => {
                slot.begin_stall();
                let activity = self.activity(slot).unwrap_or_else(|| "something without a name".to_owned());
                tracing::warn!(
                    core = slot.core(),
                    age_ms = age.as_millis() as u64,
                    activity,
                    "a core is blocked"
                );
            }
            (false, true) => {
                slot.end_stall();
                tracing::info!(core = slot.core(), stalls = slot.stalls(), "a core that was blocked goes on");
            }
            _ => {}
        }
    }

    fn activity(&self, slot: &CoreSlot) -> Option<String> {
        let index = slot.activity();
        if index == NO_ACTIVITY {
            return None;
        }
        let name = self.settings.activities.get(index as usize).cloned();
        Some(name.unwrap_or_else(|| format!("activity {index}")))
    }

    fn health(&self, slot: &CoreSlot, now: Instant) -> CoreHealth {
        let last_tick_age = slot.tick_age(now);
        CoreHealth {
            core: slot.core(),
            last_tick_age,
            stalled: last_tick_age > self.settings.stall_after,
            stalls: slot.stalls(),
            ticks: slot.ticks(),
            busy: slot.busy(),
            activity: self.activity(slot),
        }
    }
}
