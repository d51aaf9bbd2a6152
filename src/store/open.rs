//! From a directory to a store: what outlived the last process is read and applied.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_lite::future::block_on;

use super::changes::Changes;
use super::lock::ShortLock;
use super::options::{CACHE_SHARDS, JournalOptions, StoreOptions};
use super::snapshots::Snapshots;
use super::upkeep::Due;
use super::workflows::WorkflowCounts;
use super::{Kept, LocalStore, Store};
use crate::journal::{self, JournalError, Opened, RecordRef, Recovered};
use crate::queue::cache::{self, Cache, KIND_CACHE, shard_of};
use crate::queue::{KIND_TASKS, Queue, Sequencer, Settings, Waiters};
use crate::runtime::log_file::JournalFolder;
use crate::scheduler::{KIND_WORKFLOWS, Scheduler};

/// More than there are requests at one time; they wait for moments.
const MAX_MEETING: usize = 1 << 24;

/// What was found at the start.
#[derive(Debug, Clone, Default)]
pub struct RecoveryReport {
    /// What the journal's files held.
    pub journal: journal::Report,
    /// Tasks that there are, of every status.
    pub tasks: usize,
    /// Workflow tasks that there are, completed ones included.
    pub workflow_tasks: usize,
    /// How long reading and applying took.
    pub took: Duration,
}

impl Store {
    /// Opens a store and recovers what it held. It blocks; call it before an executor runs.
    ///
    /// # Errors
    /// The directory is locked by another process, damaged, of another format, or cannot be used.
    pub fn open(options: StoreOptions) -> Result<(Arc<Store>, RecoveryReport), JournalError> {
        let begun_at = Instant::now();
        let mut store = Store::empty(&options);
        let Some(journal) = options.journal else { return Ok((Arc::new(store), RecoveryReport::default())) };
        let JournalOptions { path, settings } = journal;
        let folder = JournalFolder::open(&path)?;
        let Opened { recovered, journal } = block_on(journal::open(&folder.blocking(), settings))?;
        store.apply(&recovered)?;
        store.sequencer.advance(recovered.next_sequence().saturating_sub(1));
        store.snapshots.found(recovered.snapshot_bytes(), recovered.log_bytes());
        store.kept = Some(Kept { journal, folder });
        store.workflows.lock().replayed();
        let tasks = store.queue.lock().len();
        let workflow_tasks = store.workflows.lock().counts().all();
        let report =
            RecoveryReport { journal: recovered.report, tasks, workflow_tasks, took: begun_at.elapsed() };
        Ok((Arc::new(store), report))
    }

    /// A store whose changes are committed at once and gone with the process: for tests, and for measuring.
    pub fn in_memory(settings: Settings) -> LocalStore {
        let options =
            StoreOptions { queue: settings, ..StoreOptions::from_limits(&Default::default(), "this node") };
        LocalStore::new(Arc::new(Store::empty(&options)), 0)
    }

    fn empty(options: &StoreOptions) -> Store {
        let sequencer = Sequencer::default();
        // The jitter of retries depends on it, and it tells this start's feed of workflow tasks from the last one's.
        let seed = getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15);
        let scheduler = Scheduler::new(&options.peer_id, options.workflows.clone(), sequencer.clone(), seed);
        let cache = || ShortLock::new(Cache::new(options.cache, sequencer.clone()));
        Store {
            queue: ShortLock::new(Queue::new(options.queue.clone(), sequencer.clone(), seed)),
            caches: (0..CACHE_SHARDS).map(|_| cache()).collect(),
            workflows: ShortLock::new(scheduler),
            workflow_counts: WorkflowCounts::default(),
            waiters: Waiters::new(options.max_waiters),
            meeting: Waiters::new(MAX_MEETING),
            sequencer,
            epoch: Instant::now(),
            kept: None,
            due: Due::default(),
            returns: Default::default(),
            changes: Changes::default(),
            draining: AtomicBool::new(false),
            drained: Event::new(),
            snapshots: Snapshots::new(options.snapshot_bytes),
        }
    }

    /// Applies what was recovered, the snapshot first, then the rest in the order of the sequences.
    fn apply(&mut self, recovered: &Recovered) -> Result<(), JournalError> {
        for record in recovered.snapshot_records().chain(recovered.records()) {
            self.replay(record).map_err(|why| {
                JournalError::Format(format!(
                    "the journal holds a record that this build cannot read (sequence {}, kind {}): {why}; start the \
                     version that wrote it",
                    record.sequence, record.kind
                ))
            })?;
        }
        Ok(())
    }

    fn replay(&self, record: RecordRef<'_>) -> Result<(), String> {
        let now = self.now();
        match record.kind {
            KIND_TASKS => self.queue.lock().replay(record.sequence, record.kind, record.bytes, now),
            KIND_CACHE => cache::key_of(record.bytes, now).and_then(|key| {
                self.caches[shard_of(&key, self.caches.len())].lock().replay(record.kind, record.bytes, now)
            }),
            KIND_WORKFLOWS => self.workflows.lock().replay(record.sequence, record.kind, record.bytes, now),
            _ => return Err("nothing is kept under this kind".to_owned()),
        }
        .map_err(|error| error.to_string())
    }
}
