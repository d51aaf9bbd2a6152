//! What the metrics of the task queue, the cache and their journal are called.

use super::exposition::{Exposition, Type};
use crate::journal;

/// The task queue, the cache and their journal at the moment of a scrape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStats {
    /// Tasks by status.
    pub tasks: [(&'static str, u64); 5],
    /// Tasks that may be claimed now.
    pub ready: u64,
    /// Milliseconds since the creation of the oldest of them; 0 when there is none.
    pub oldest_ready_ms: u64,
    /// Bytes of payloads, results and errors.
    pub bytes: u64,
    /// Leases that ended without their holder.
    pub lease_expiries: u64,
    /// Failures that are tried again.
    pub retries: u64,
    /// Tasks whose attempts ran out.
    pub dead_letters: u64,
    /// Finished tasks that were kept long enough.
    pub removed: u64,
    /// Requests that wait for tasks.
    pub waiters: u64,
    /// How often a core waited for the queue's lock, and for how many nanoseconds in all.
    pub lock_waits: (u64, u64),
    /// Bytes of the cache.
    pub cache_bytes: u64,
    /// Values that went for want of room.
    pub cache_evictions: u64,
    /// What the logs did, where there is a journal.
    pub journal: Option<journal::Counts>,
    /// Snapshots taken, and the bytes of the last one.
    pub snapshots: (u64, u64),
    /// The journal has failed.
    pub journal_failed: bool,
    /// Tasks of workflows.
    pub workflows: WorkflowStats,
}

/// The tasks of workflows, and what is known of peers, at the moment of a scrape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowStats {
    /// Tasks that nobody has.
    pub pending: u64,
    /// Tasks that somebody has.
    pub assigned: u64,
    /// Tasks that are done.
    pub completed: u64,
    /// Tasks that this node would give out.
    pub ready: u64,
    /// Bytes of all tasks.
    pub bytes: u64,
    /// Peers that were heard of.
    pub known_peers: u64,
    /// Tasks taken over from peers that are silent.
    pub taken_over: u64,
    /// Tasks that were given out and not completed in time.
    pub overdue: u64,
    /// Completed tasks that were kept long enough.
    pub removed: u64,
    /// Tasks of peers' answers that were left out because no node would send them.
    pub refused: u64,
    /// Peers that were forgotten for others.
    pub peers_forgotten: u64,
    /// Entries of peers' clocks that found no room.
    pub clock_entries_left_out: u64,
}

pub(super) fn render(out: &mut Exposition, stats: &TaskStats) {
    use Type::{Counter, Gauge};
    out.family("ringmesh_queue_tasks", Gauge, "Tasks of the queue, by status.");
    for (status, tasks) in stats.tasks {
        out.sample(&[("status", status)], tasks);
    }
    out.single("ringmesh_queue_ready_tasks", Gauge, "Tasks that may be claimed now.", stats.ready);
    let age_s = stats.oldest_ready_ms as f64 / 1e3;
    out.single(
        "ringmesh_queue_oldest_ready_seconds",
        Gauge,
        "Age of the oldest task that may be claimed.",
        age_s,
    );
    out.single("ringmesh_queue_bytes", Gauge, "Bytes of payloads, results and errors.", stats.bytes);
    out.single("ringmesh_queue_waiters", Gauge, "Requests that wait for a task or its end.", stats.waiters);
    let help = "Leases that ended without their holder.";
    out.single("ringmesh_queue_lease_expiries_total", Counter, help, stats.lease_expiries);
    out.single(
        "ringmesh_queue_retries_total",
        Counter,
        "Failed attempts that are tried again.",
        stats.retries,
    );
    out.single(
        "ringmesh_queue_dead_letters_total",
        Counter,
        "Tasks whose attempts ran out.",
        stats.dead_letters,
    );
    out.single(
        "ringmesh_queue_removed_total",
        Counter,
        "Finished tasks past their retention.",
        stats.removed,
    );
    let (waits, waited_ns) = stats.lock_waits;
    out.single(
        "ringmesh_queue_lock_waits_total",
        Counter,
        "Times a core waited for the queue's lock.",
        waits,
    );
    let help = "Time that cores waited for the queue's lock.";
    out.single("ringmesh_queue_lock_wait_seconds_total", Counter, help, waited_ns as f64 / 1e9);
    out.single("ringmesh_cache_bytes", Gauge, "Bytes of the cache, keys included.", stats.cache_bytes);
    let help = "Values of the cache that went for want of room.";
    out.single("ringmesh_cache_evictions_total", Counter, help, stats.cache_evictions);
    workflows(out, &stats.workflows);
    if let Some(journal) = &stats.journal {
        journalled(out, stats, journal);
    }
}

fn workflows(out: &mut Exposition, stats: &WorkflowStats) {
    use Type::{Counter, Gauge};
    out.family("ringmesh_workflow_tasks", Gauge, "Tasks of workflows that this node keeps, by status.");
    let tasks = [("pending", stats.pending), ("assigned", stats.assigned), ("completed", stats.completed)];
    for (status, tasks) in tasks {
        out.sample(&[("status", status)], tasks);
    }
    let figures = [
        (
            "ringmesh_workflow_ready_tasks",
            Gauge,
            "Tasks of workflows that this node would give out.",
            stats.ready,
        ),
        ("ringmesh_workflow_bytes", Gauge, "Bytes of the tasks of workflows.", stats.bytes),
        (
            "ringmesh_workflow_known_peers",
            Gauge,
            "Peers that the workflow scheduler heard of.",
            stats.known_peers,
        ),
        (
            "ringmesh_workflow_taken_over_total",
            Counter,
            "Tasks taken over from silent peers.",
            stats.taken_over,
        ),
        (
            "ringmesh_workflow_overdue_total",
            Counter,
            "Tasks given out and not completed in time.",
            stats.overdue,
        ),
        ("ringmesh_workflow_removed_total", Counter, "Completed tasks past their retention.", stats.removed),
        (
            "ringmesh_workflow_refused_total",
            Counter,
            "Tasks of peers' answers that were left out.",
            stats.refused,
        ),
        (
            "ringmesh_workflow_peers_forgotten_total",
            Counter,
            "Peers forgotten for others.",
            stats.peers_forgotten,
        ),
        (
            "ringmesh_workflow_clock_entries_left_out_total",
            Counter,
            "Entries of peers' clocks that found no room.",
            stats.clock_entries_left_out,
        ),
    ];
    for (name, kind, help, value) in figures {
        out.single(name, kind, help, value);
    }
}

fn journalled(out: &mut Exposition, stats: &TaskStats, journal: &journal::Counts) {
    use Type::{Counter, Gauge};
    let failed = u8::from(stats.journal_failed);
    out.single(
        "ringmesh_journal_failed",
        Gauge,
        "1 once a write or fsync of the journal has failed.",
        failed,
    );
    out.single("ringmesh_journal_records_total", Counter, "Changes written to the journal.", journal.records);
    let help = "Batches written to the journal, those of idle logs not counted.";
    out.single("ringmesh_journal_batches_total", Counter, help, journal.batches);
    out.single("ringmesh_journal_bytes_total", Counter, "Bytes written to the journal.", journal.bytes);
    out.single("ringmesh_journal_syncs_total", Counter, "Times a log waited for the medium.", journal.syncs);
    let help = "Changes refused because the disk had no room for them.";
    out.single("ringmesh_journal_disk_full_total", Counter, help, journal.disk_full);
    let (taken, bytes) = stats.snapshots;
    out.single("ringmesh_journal_snapshots_total", Counter, "Snapshots taken.", taken);
    out.single("ringmesh_journal_snapshot_bytes", Gauge, "Bytes of the last snapshot.", bytes);
}
