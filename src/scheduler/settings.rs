//! Every bound of the workflow scheduler, with its default.

/// What bounds a scheduler, and how it behaves. Every number has a default that suits one node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tasks of every status that are kept; one more is refused with `workflow_full`.
    pub max_tasks: usize,
    /// Bytes of all tasks together; a submit past it is refused with `workflow_full`.
    pub max_total_bytes: usize,
    /// Bytes of a task id, workflow id, name, tag or peer id; more is refused with `too_large`.
    pub max_name_bytes: usize,
    /// Tags of one task; more are refused with `too_many_tags`.
    pub max_tags: usize,
    /// Members that a task's epoch names: the nearest ones, so that the owner is the same as among all.
    pub max_epoch_members: usize,
    /// Peers that are remembered; for one more, the one not heard of for longest is forgotten.
    pub max_peers: usize,
    /// Nodes that the clock takes note of.
    pub max_clock_entries: usize,
    /// A peer that is silent for longer owns nothing any more, and what it held is taken over.
    pub peer_timeout_ms: u64,
    /// A task that was given out and not completed for so long is given out again.
    pub assignment_ms: u64,
    /// What whoever holds a task has at least to complete it after a restart.
    pub recovery_grace_ms: u64,
    /// How long a completed task is kept, by the wall clock of the node that completed it.
    pub retention_ms: u64,
    /// Completed tasks that are kept; past it the oldest go.
    pub max_completed: usize,
    /// Tasks that one `workflow.fetch` gives.
    pub max_fetch_tasks: usize,
    /// Bytes of the tasks that one `workflow.fetch` gives, so that the answer fits on a line.
    pub max_fetch_bytes: usize,
    /// That a peer was heard of is recorded at most so often.
    pub peer_record_ms: u64,
    /// Tasks that one look at the time changes at most.
    pub max_due_tasks: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_tasks: 100_000,
            max_total_bytes: 256 << 20,
            max_name_bytes: 512,
            max_tags: 32,
            max_epoch_members: 64,
            max_peers: 4_096,
            max_clock_entries: 4_096,
            peer_timeout_ms: 300_000,
            assignment_ms: 1_800_000,
            recovery_grace_ms: 30_000,
            retention_ms: 7 * 86_400_000,
            max_completed: 10_000,
            max_fetch_tasks: 256,
            max_fetch_bytes: 512 << 10,
            peer_record_ms: 60_000,
            max_due_tasks: 64,
        }
    }
}
