//! What a store is told.

use std::path::PathBuf;

use crate::journal;
use crate::limits::Limits;
use crate::queue::Settings;
use crate::queue::cache::CacheSettings;
use crate::scheduler;

/// The shards of the cache. A value's shard follows from its key alone, so any number serves a journal of any other.
pub(super) const CACHE_SHARDS: usize = 16;

/// What a store is told.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The bounds of the queue.
    pub queue: Settings,
    /// The bounds of one shard of the cache.
    pub cache: CacheSettings,
    /// Who this node is to its peers; it names the owner of workflow tasks.
    pub peer_id: String,
    /// The bounds of the workflow tasks.
    pub workflows: scheduler::Settings,
    /// How many requests may wait for tasks.
    pub max_waiters: usize,
    /// Bytes of journal after which a snapshot is taken, or as many as the last one had, if that is more.
    pub snapshot_bytes: u64,
    /// Where it is kept; `None`: everything is gone with the process.
    pub journal: Option<JournalOptions>,
}

/// Where a store is kept, and how.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// The directory, made where it is missing.
    pub path: PathBuf,
    /// The bounds and the mode.
    pub settings: journal::Settings,
}

impl StoreOptions {
    /// The options that follow from the limits, without a journal, for the node of this id.
    pub fn from_limits(limits: &Limits, peer_id: &str) -> StoreOptions {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let attempts = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let queue = Settings {
            max_tasks: size(limits.max_queue_tasks),
            max_total_bytes: size(limits.max_queue_bytes),
            max_types: size(limits.max_queue_types),
            max_payload_bytes: size(limits.max_task_payload_bytes),
            max_result_bytes: size(limits.max_task_result_bytes),
            max_name_bytes: size(limits.max_task_name_bytes),
            max_claim_tasks: size(limits.max_claim_tasks),
            default_lease_ms: limits.task_lease_ms.min(limits.max_task_lease_ms),
            max_lease_ms: limits.max_task_lease_ms,
            default_max_attempts: attempts(limits.task_max_attempts),
            backoff_base_ms: limits.task_backoff_ms,
            backoff_cap_ms: limits.max_task_backoff_ms,
            ownership_hold_ms: limits.task_ownership_hold_ms,
            idempotency_window_ms: limits.idempotency_window_ms,
            retention_ms: limits.task_retention_ms,
            max_finished: size(limits.max_finished_tasks),
            ..Settings::default()
        };
        let workflows = scheduler::Settings {
            max_tasks: size(limits.max_workflow_tasks),
            max_total_bytes: size(limits.max_workflow_bytes),
            max_peers: size(limits.max_p2p_peers),
            max_clock_entries: size(limits.max_p2p_clock_entries),
            peer_timeout_ms: limits.workflow_peer_timeout_ms,
            assignment_ms: limits.workflow_assignment_ms,
            retention_ms: limits.workflow_retention_ms,
            max_completed: size(limits.max_completed_workflow_tasks),
            ..scheduler::Settings::default()
        };
        let cache = CacheSettings {
            max_bytes: size(limits.max_cache_bytes) / CACHE_SHARDS,
            max_key_bytes: size(limits.max_cache_key_bytes),
            max_value_bytes: size(limits.max_cache_value_bytes),
        };
        StoreOptions {
            queue,
            cache,
            peer_id: peer_id.to_owned(),
            workflows,
            max_waiters: size(limits.max_task_waiters),
            snapshot_bytes: limits.journal_snapshot_bytes,
            journal: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_limits_are_those_of_the_queue() {
        let options = StoreOptions::from_limits(&Limits::default(), "me");
        assert_eq!(format!("{:?}", options.queue), format!("{:?}", Settings::default()));
        assert_eq!(format!("{:?}", options.workflows), format!("{:?}", scheduler::Settings::default()));
        assert_eq!(format!("{:?}", options.cache), format!("{:?}", CacheSettings::default()));
    }
}
