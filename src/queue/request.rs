//! What is asked of the queue, what it answers, and why it refuses.

use std::fmt;
use std::sync::Arc;

use super::task::{Task, TaskId};

/// A task to be submitted.
#[derive(Debug, Clone)]
pub struct Submit {
    /// Its id, drawn at random by the caller.
    pub id: TaskId,
    /// What kind of work it is.
    pub task_type: Arc<str>,
    /// The model it asks for.
    pub model_name: Arc<str>,
    /// A JSON object, as text.
    pub payload: Box<str>,
    /// 1..=10; what lies outside is moved to the nearer end.
    pub priority: u8,
    /// How often it is tried; `None` or 0: as configured.
    pub max_attempts: Option<u32>,
    /// Milliseconds before it may be claimed.
    pub delay_ms: u64,
    /// Only claims of this session get it.
    pub session: Option<Arc<str>>,
    /// Only this worker gets it.
    pub sticky_worker: Option<Arc<str>>,
    /// A second submit with this key answers with the first's task.
    pub idempotency_key: Option<Arc<str>>,
}

/// Who claims what.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The worker's name.
    pub worker: Arc<str>,
    /// The claim's identity: the peer it names, else the transport's, else the worker.
    pub peer: Arc<str>,
    /// Types it takes; empty: all.
    pub types: Vec<Arc<str>>,
    /// The session it belongs to.
    pub session: Option<Arc<str>>,
    /// How long it wants the lease; `None`: as configured.
    pub lease_ms: Option<u64>,
    /// How many tasks it takes.
    pub max_tasks: usize,
    /// Whether all are of the first one's type.
    pub same_type: bool,
}

/// Proof that somebody may speak for a task.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// The fencing token of the claim.
    pub token: Option<u64>,
    /// The worker's or peer's name, where there is no token.
    pub name: Option<Arc<str>>,
}

/// How a worker's work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Completed,
    /// It failed; a retryable failure is tried again while attempts are left.
    Failed {
        /// Whether another attempt may do better.
        retryable: bool,
    },
    /// It is not wanted any more.
    Cancelled,
}

/// The end of a task.
#[derive(Debug, Clone)]
pub struct Complete {
    /// Which task.
    pub id: TaskId,
    /// How it ended.
    pub outcome: Outcome,
    /// A JSON object as text, merged into the result that is there; another value is wrapped as `{"result": …}`.
    pub result: Option<Arc<str>>,
    /// What went wrong.
    pub error: Option<Arc<str>>,
    /// The fencing token of the claim.
    pub token: Option<u64>,
}

/// News of a running task.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Which task.
    pub id: TaskId,
    /// Who says so.
    pub proof: Proof,
    /// A JSON object as text, merged into `progress`.
    pub progress: Option<Arc<str>>,
    /// Lines appended to `logs`.
    pub logs: Vec<Arc<str>>,
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The task is in the queue.
    Submitted {
        /// Its id.
        id: TaskId,
        /// It was there already, under the same idempotency key.
        existing: bool,
    },
    /// The tasks that the claim holds now, in order.
    Claimed(Vec<Task>),
    /// The leases of a holder.
    Renewed {
        /// Tasks whose leases were renewed.
        renewed: Vec<TaskId>,
        /// Tasks that were cancelled while this holder had them.
        cancelled: Vec<TaskId>,
    },
    /// The task as it stands now.
    Changed(Task),
    /// Whether a task was cancelled by this call.
    Cancelled(bool),
    /// The task went: its time was over.
    Removed(TaskId),
}

/// Why a request changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such task.
    TaskNotFound,
    /// The task was claimed again, cancelled or given back: somebody else may hold it.
    LeaseLost,
    /// This queue wants a token.
    FencingRequired,
    /// The queue holds as much as it may.
    QueueFull(&'static str),
    /// Something is longer than it may be.
    TooLarge {
        /// What is.
        what: &'static str,
        /// The bytes allowed.
        max: usize,
    },
    /// What is said to be JSON is not, or no object.
    InvalidJson(&'static str),
    /// The idempotency key, or the id, names other work.
    Conflict,
    /// Only failed and cancelled tasks are put back.
    NotFinished,
}

impl Refusal {
    /// The stable code for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TaskNotFound => "task_not_found",
            Refusal::LeaseLost => "lease_lost",
            Refusal::FencingRequired => "fencing_required",
            Refusal::QueueFull(_) => "queue_full",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::InvalidJson(_) => "invalid_value",
            Refusal::Conflict => "idempotency_conflict",
            Refusal::NotFinished => "task_not_finished",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TaskNotFound => f.write_str("there is no task of this id; it may be past its retention"),
            Refusal::LeaseLost => f.write_str("the lease is over; claim the task again"),
            Refusal::FencingRequired => f.write_str("this queue needs the fencing_token that the claim gave"),
            Refusal::QueueFull(limit) => write!(f, "the queue is full ({limit}); try again later"),
            Refusal::TooLarge { what, max } => write!(f, "{what} may have at most {max} bytes"),
            Refusal::InvalidJson(what) => write!(f, "{what} must be a JSON object"),
            Refusal::Conflict => f.write_str("the idempotency key or task id names other work already"),
            Refusal::NotFinished => f.write_str("only a failed or cancelled task can be put back"),
        }
    }
}

impl std::error::Error for Refusal {}
