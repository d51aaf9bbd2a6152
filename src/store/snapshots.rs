//! Snapshots: they bound what a recovery has to read. One core writes them for all, in small pieces, while changes go on.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Store;
use super::local::LocalStore;
use crate::journal::{JournalError, Record, SnapshotReport};
use crate::queue::KIND_TASKS;
use crate::queue::cache::KIND_CACHE;
use crate::runtime;
use crate::scheduler::KIND_WORKFLOWS;

/// How often it is looked whether one is needed.
const LOOK: Duration = Duration::from_secs(1);
/// Tasks or values under one hold of a lock.
const PIECE: usize = 256;
/// Changes that began before the snapshot are waited for; they take moments.
const SETTLE: Duration = Duration::from_millis(2);

/// What has been done so far.
#[derive(Debug)]
pub(super) struct Snapshots {
    threshold_bytes: u64,
    /// The bytes of all logs when the last one was begun.
    begun_at_bytes: AtomicU64,
    last_bytes: AtomicU64,
    taken: AtomicU64,
    last: Mutex<Option<SnapshotReport>>,
}

impl Snapshots {
    pub(super) fn new(threshold_bytes: u64) -> Snapshots {
        Snapshots {
            threshold_bytes,
            begun_at_bytes: AtomicU64::new(0),
            last_bytes: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }

    /// At a start: the journal that was found, whose logs count as written anew, so that they are soon covered.
    pub(super) fn found(&self, snapshot_bytes: u64, log_bytes: u64) {
        self.last_bytes.store(snapshot_bytes, Ordering::Relaxed);
        self.begun_at_bytes.store(log_bytes.wrapping_neg(), Ordering::Relaxed);
    }

    fn is_due(&self, written_bytes: u64) -> bool {
        let since = written_bytes.wrapping_sub(self.begun_at_bytes.load(Ordering::Relaxed));
        since >= self.threshold_bytes.max(self.last_bytes.load(Ordering::Relaxed))
    }

    /// How many were finished, and the last one.
    pub(super) fn taken(&self) -> (u64, Option<SnapshotReport>) {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (self.taken.load(Ordering::Relaxed), last)
    }
}

impl LocalStore {
    /// Takes a snapshot whenever enough was written, for all cores, until it is dropped. Run it on one core, in a queue of
    /// work that may wait. Without a journal it does nothing.
    pub async fn keep_snapshots(&self) {
        let Some(kept) = &self.store().kept else { return };
        loop {
            runtime::sleep(LOOK).await;
            let written = kept.journal.counts().bytes;
            if !self.store().snapshots.is_due(written) || self.store().is_poisoned() {
                continue;
            }
            self.store().snapshots.begun_at_bytes.store(written, Ordering::Relaxed);
            match self.take_snapshot().await {
                Ok(report) => tracing::debug!(
                    sequence = report.sequence,
                    bytes = report.bytes,
                    removed_files = report.removed_files,
                    "took a snapshot of the task queue"
                ),
                Err(error) => {
                    tracing::warn!("no snapshot of the task queue was taken; the journal grows on: {error}")
                }
            }
        }
    }

    /// Takes a snapshot now.
    ///
    /// # Errors
    /// Another one is being taken, there is no room for it, or the journal has failed, which then ends it.
    pub async fn take_snapshot(&self) -> Result<SnapshotReport, JournalError> {
        let store = self.store();
        let Some(kept) = &store.kept else {
            return Err(JournalError::Settings("there is no journal to take a snapshot for".to_owned()));
        };
        let sequence = store.settled().await;
        if store.is_poisoned() {
            return Err(JournalError::Settings("the journal has failed".to_owned()));
        }
        let mut snapshot = kept.journal.begin_snapshot(kept.folder.clone(), sequence).await?;
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (bytes, next) = store.queue.lock().snapshot(from, PIECE, store.now());
            cursor = next;
            let newest = store.sequencer.last();
            snapshot.write_chunk(&[Record { sequence: newest, kind: KIND_TASKS, bytes }]).await?;
            runtime::yield_now().await;
        }
        for cache in &store.caches {
            let keys = cache.lock().keys();
            for keys in keys.chunks(PIECE) {
                let values = cache.lock().snapshot(keys, store.now());
                let record = |(sequence, bytes)| Record { sequence, kind: KIND_CACHE, bytes };
                snapshot.write_chunk(&values.into_iter().map(record).collect::<Vec<_>>()).await?;
                runtime::yield_now().await;
            }
        }
        let mut cursor = Some(None::<std::sync::Arc<str>>);
        while let Some(from) = cursor {
            let (bytes, next) = store.workflows.lock().snapshot(from.as_deref(), PIECE, store.now());
            cursor = next.map(Some);
            let newest = store.sequencer.last();
            snapshot.write_chunk(&[Record { sequence: newest, kind: KIND_WORKFLOWS, bytes }]).await?;
            runtime::yield_now().await;
        }
        let report = snapshot.finish().await?;
        let snapshots = &store.snapshots;
        snapshots.last_bytes.store(report.bytes, Ordering::Relaxed);
        snapshots.taken.fetch_add(1, Ordering::Relaxed);
        *snapshots.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        Ok(report)
    }
}

impl Store {
    /// A sequence up to which every change is durable and applied, or undone: waits for those that are on their way.
    async fn settled(&self) -> u64 {
        let sequence = self.sequencer.last();
        while !self.is_poisoned()
            && (self.queue.lock().is_pending_up_to(sequence)
                || self.workflows.lock().is_pending_up_to(sequence)
                || self.caches.iter().any(|cache| cache.lock().is_pending_up_to(sequence)))
        {
            runtime::sleep(SETTLE).await;
        }
        sequence
    }
}
