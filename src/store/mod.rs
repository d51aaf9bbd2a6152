//! The task queue, the cache and the workflow tasks of a process, kept: the state machines of [`crate::queue`] and
//! [`crate::scheduler`] behind short locks, their changes in the [`crate::journal`] of the core that took the request, and
//! those who wait for one.
//!
//! The main path of a change: [`LocalStore`] asks a machine under its lock, which reserves the change → the record goes to
//! the log of this core → the task of the core that writes the log ([`LocalStore::run`]) commits whatever is durable, under
//! the lock again, and wakes the asker and whoever else it concerns. It does so as well when the asker is gone. Nobody hears
//! of a change before that.
//!
//! - `options.rs`, `open.rs`: from a configuration and a directory to a [`Store`]; recovery.
//! - `local.rs`: what one core asks; `claims.rs`: claims and everything else that waits, `returns.rs`: claims
//!   that nobody heard of; `values.rs`: the cache;
//!   `workflows.rs`: the workflow tasks.
//! - `commits.rs`, `apply.rs`, `reply.rs`: from a reserved change to its answer. `lock.rs`: a lock that is held for moments.
//! - `upkeep.rs`: what time brings about; `snapshots.rs`: bounding recovery. One core does both for all.
//! - `stats.rs`: what there is, for the metrics. `changes.rs`: telling others which tasks changed.

mod apply;
mod changes;
mod claims;
mod commits;
mod error;
mod local;
mod lock;
mod open;
mod options;
mod reply;
mod returns;
mod snapshots;
mod stats;
#[cfg(test)]
mod tests;
mod upkeep;
mod values;
#[cfg(test)]
mod workflow_tests;
mod workflows;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use event_listener::Event;

use crate::journal::{Journal, Poison};
use crate::queue::cache::Cache;
use crate::queue::{Now, Queue, Sequencer, Waiters};
use crate::runtime::log_file::JournalFolder;
use crate::scheduler::Scheduler;

pub use changes::Changes;
pub use error::StoreError;
pub use local::{LocalStore, QueueCounts, Renewed, Submitted};
pub use open::RecoveryReport;
pub use options::{JournalOptions, StoreOptions};
pub use workflows::Workflows;

use lock::ShortLock;
use upkeep::Due;
use workflows::WorkflowCounts;

/// The task queue, the cache and the workflow tasks of a process. Each core asks through a [`LocalStore`] of its own.
#[derive(Debug)]
pub struct Store {
    queue: ShortLock<Queue>,
    caches: Box<[ShortLock<Cache>]>,
    workflows: ShortLock<Scheduler>,
    workflow_counts: WorkflowCounts,
    /// Who waits for tasks and for their ends.
    waiters: Arc<Waiters>,
    /// Who waits for a change that is being committed.
    meeting: Arc<Waiters>,
    sequencer: Sequencer,
    epoch: Instant,
    /// None: everything is gone with the process.
    kept: Option<Kept>,
    due: Due,
    returns: returns::Returns,
    changes: Changes,
    /// The server shuts down: nobody waits any more for what may never come.
    draining: AtomicBool,
    /// Notified when `draining` is set.
    drained: Event,
    snapshots: snapshots::Snapshots,
}

/// Where a store is kept.
#[derive(Debug)]
struct Kept {
    journal: Arc<Journal>,
    folder: JournalFolder,
}

impl Store {
    /// The time by the clocks of this store.
    pub fn now(&self) -> Now {
        let mono = self.epoch.elapsed().as_millis();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Now { mono_ms: i64::try_from(mono).unwrap_or(i64::MAX), wall_ms: u64::try_from(wall).unwrap_or(0) }
    }

    /// What ends all changes, where there is a journal.
    pub fn poison(&self) -> Option<&Poison> {
        self.kept.as_ref().map(|kept| kept.journal.poison())
    }

    /// Who is told of each task that changes.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Whether changes outlive the process.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    fn is_poisoned(&self) -> bool {
        self.poison().is_some_and(|poison| poison.reason().is_some())
    }
}
