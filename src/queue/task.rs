//! A task: what it is for good, and the state that changes.

use std::fmt;
use std::sync::Arc;

/// A task's id: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u128);

impl TaskId {
    /// Reads 32 hexadecimal digits; anything else is the id of no task.
    pub fn parse(text: &str) -> Option<TaskId> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u128::from_str_radix(text, 16).ok().map(TaskId)).flatten()
    }

    /// Its text.
    pub fn text(self) -> TaskIdText {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0.to_be_bytes()) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        TaskIdText(digits)
    }
}

/// The text of a task's id, which needs no allocation.
#[derive(Clone, Copy)]
pub struct TaskIdText([u8; 32]);

impl std::ops::Deref for TaskIdText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: hexadecimal digits are UTF-8")
    }
}

impl fmt::Debug for TaskIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Waits for a claim, or for its time.
    Queued,
    /// Somebody holds a lease on it.
    Running,
    /// Done.
    Completed,
    /// Given up, by its worker or after its last attempt.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

impl Status {
    /// Every status, by its number.
    pub const ALL: [Status; 5] =
        [Status::Queued, Status::Running, Status::Completed, Status::Failed, Status::Cancelled];

    /// As the protocol writes it.
    pub fn as_str(self) -> &'static str {
        ["queued", "running", "completed", "failed", "cancelled"][self as usize]
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing more happens to the task by itself.
    pub fn is_finished(self) -> bool {
        self > Status::Running
    }
}

/// What a task is; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// Its id.
    pub id: TaskId,
    /// What kind of work it is.
    pub task_type: Arc<str>,
    /// The model it asks for.
    pub model_name: Arc<str>,
    /// The work, as JSON text.
    pub payload: Box<str>,
    /// 1..=10, 10 first.
    pub priority: u8,
    /// How often it is tried.
    pub max_attempts: u32,
    /// Only claims of this session get it.
    pub session: Option<Arc<str>>,
    /// Only this worker gets it.
    pub sticky_worker: Option<Arc<str>>,
    /// Another submit with this key means this task.
    pub idempotency_key: Option<Arc<str>>,
    /// Milliseconds since the epoch at its submission.
    pub created_ms: u64,
    /// The same on the monotonic clock of this process.
    pub created_mono_ms: i64,
    /// The sequence of its submission; orders what was created in the same millisecond.
    pub created_sequence: u64,
}

/// Who holds a lease, or held the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The worker's name.
    pub worker: Arc<str>,
    /// The claim's identity among peers.
    pub peer: Arc<str>,
}

/// What happens to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where it stands.
    pub status: Status,
    /// How often it was claimed.
    pub claims: u32,
    /// How many attempts count against [`Core::max_attempts`].
    pub attempts: u32,
    /// The last holder.
    pub holder: Option<Holder>,
    /// The fencing token of the last claim: greater than any given before, 0 for none.
    pub token: u64,
    /// When the lease ends, on the monotonic clock.
    pub lease_until_ms: i64,
    /// What a renewal adds.
    pub lease_ms: u64,
    /// The task is not given out before, on the monotonic clock.
    pub not_before_ms: i64,
    /// Milliseconds since the epoch at its last change.
    pub updated_ms: u64,
    /// When it finished, on the monotonic clock.
    pub finished_mono_ms: i64,
    /// A JSON object, with `logs` and `progress` where there are any.
    pub result: Option<Arc<str>>,
    /// What went wrong.
    pub error: Option<Arc<str>>,
    /// Its attempts ran out: a dead letter.
    pub dead: bool,
    /// It was cancelled while somebody held it.
    pub revoked: bool,
}

impl State {
    pub(super) fn queued(updated_ms: u64, not_before_ms: i64) -> State {
        State {
            status: Status::Queued,
            claims: 0,
            attempts: 0,
            holder: None,
            token: 0,
            lease_until_ms: 0,
            lease_ms: 0,
            not_before_ms,
            updated_ms,
            finished_mono_ms: 0,
            result: None,
            error: None,
            dead: false,
            revoked: false,
        }
    }
}

/// A task as it stands after some change; cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What it is.
    pub core: Arc<Core>,
    /// What happened to it.
    pub state: State,
}

impl Task {
    /// The bytes that count against the queue's bound.
    pub(super) fn bytes(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        self.core.payload.len() + length(&self.state.result) + length(&self.state.error)
    }

    pub(super) fn id(&self) -> TaskId {
        self.core.id
    }
}
