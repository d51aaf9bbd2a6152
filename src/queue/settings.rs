//! Every bound of the queue, with its default.

use std::collections::HashMap;

/// What bounds a queue, and how it behaves. Every number has a default that suits one node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tasks of every status that are kept; one more is refused with `queue_full`.
    pub max_tasks: usize,
    /// Bytes of all payloads, results and errors together; a submit past it is refused with `queue_full`.
    pub max_total_bytes: usize,
    /// Bytes of one payload as JSON text.
    pub max_payload_bytes: usize,
    /// Bytes of one result as JSON text, with its logs and progress.
    pub max_result_bytes: usize,
    /// Bytes of a name: a type, model, session, worker, peer or idempotency key.
    pub max_name_bytes: usize,
    /// Bytes of an error text or reason; a longer one is cut.
    pub max_error_bytes: usize,
    /// Log lines kept in one task; the oldest go first.
    pub max_log_lines: usize,
    /// Bytes of the log lines kept in one task; the oldest go first.
    pub max_log_bytes: usize,
    /// Types that may have tasks at one time; a submit of one more is refused with `queue_full`.
    pub max_types: usize,
    /// Types that one claim or list may name.
    pub max_claim_types: usize,
    /// Tasks that one claim gives at most.
    pub max_claim_tasks: usize,
    /// Tasks that a claim looks at to find one that its peer owns.
    pub max_candidates: usize,
    /// Tasks that one list gives at most.
    pub max_list_tasks: usize,
    /// Leases that one heartbeat renews at most.
    pub max_renewals: usize,
    /// A lease without a wish lasts so many milliseconds.
    pub default_lease_ms: u64,
    /// The shortest lease; a shorter wish is raised.
    pub min_lease_ms: u64,
    /// The longest lease; a longer wish is lowered.
    pub max_lease_ms: u64,
    /// What a holder has at least to renew its lease after a restart.
    pub recovery_grace_ms: u64,
    /// A task is kept so long for the peer that owns it.
    pub ownership_hold_ms: u64,
    /// Whether `complete` without a token is refused always.
    pub require_fencing: bool,
    /// How often a task is tried that does not say.
    pub default_max_attempts: u32,
    /// How often a task may ask to be tried.
    pub max_attempts: u32,
    /// The upper bound of the first retry's delay; it doubles with each attempt.
    pub backoff_base_ms: u64,
    /// The highest upper bound of a retry's delay.
    pub backoff_cap_ms: u64,
    /// How long a submitted task may be delayed.
    pub max_delay_ms: u64,
    /// A step of priority is worth so much waiting; 0: priority is strict.
    pub ageing_ms: u64,
    /// How long an idempotency key names its task.
    pub idempotency_window_ms: u64,
    /// How long a finished task is kept.
    pub retention_ms: u64,
    /// How many finished tasks are kept.
    pub max_finished: usize,
    /// How many tasks of a type may run at one time; a type that is not named has no limit.
    pub type_limits: HashMap<Box<str>, usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_tasks: 4_000_000,
            max_total_bytes: 4 << 30,
            max_payload_bytes: 960 << 10,
            max_result_bytes: 960 << 10,
            max_name_bytes: 512,
            max_error_bytes: 8 << 10,
            max_log_lines: 1_000,
            max_log_bytes: 64 << 10,
            max_types: 1_024,
            max_claim_types: 128,
            max_claim_tasks: 128,
            max_candidates: 256,
            max_list_tasks: 1_000,
            max_renewals: 1_024,
            default_lease_ms: 1_800_000,
            min_lease_ms: 1_000,
            max_lease_ms: 86_400_000,
            recovery_grace_ms: 30_000,
            ownership_hold_ms: 30_000,
            require_fencing: false,
            default_max_attempts: 3,
            max_attempts: 1_000,
            backoff_base_ms: 1_000,
            backoff_cap_ms: 300_000,
            max_delay_ms: 30 * 86_400_000,
            ageing_ms: 0,
            idempotency_window_ms: 86_400_000,
            retention_ms: 7 * 86_400_000,
            max_finished: 100_000,
            type_limits: HashMap::new(),
        }
    }
}
