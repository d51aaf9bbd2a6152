//! What a request comes to: an answer, a change to be journalled, or a wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::request::{Answer, Refusal};
use super::task::TaskId;

/// Gives each change of the process its place among all changes; every room that journals shares one.
#[derive(Debug, Clone, Default)]
pub struct Sequencer(Arc<AtomicU64>);

impl Sequencer {
    /// The next sequence; the first is 1.
    pub(crate) fn reserve(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// After recovery: sequences go on above this one.
    pub fn advance(&self, at_least: u64) {
        self.0.fetch_max(at_least, Ordering::Relaxed);
    }

    /// The last sequence given.
    pub fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A change that is reserved and not yet told to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place among all changes; what [`super::Queue::commit`] and [`super::Queue::abort`] ask for.
    pub sequence: u64,
    /// What the journal is told the record is.
    pub kind: u8,
    /// The record.
    pub bytes: Vec<u8>,
    /// Whether a full disk may refuse it: a submit may be refused, the end of a task may not.
    pub refusable: bool,
}

/// How far a request came under the lock; `A` is what its machine answers.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a change that is neither committed nor aborted keeps its tasks busy"]
pub enum Step<A = Answer> {
    /// Nothing changes; this is the answer.
    Done(A),
    /// Journal this, then commit it.
    Change(Change),
    /// It meets a change that is being committed: wait until that sequence is, then ask again.
    Wait(u64),
}

/// How far a request came, or why it is refused.
pub type Asked = Result<Step, Refusal>;

/// Whom a commit concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wake {
    /// Who waits for the end of this task.
    Task(TaskId),
    /// Who waits for a task of this type: one of them, as anybody may take it.
    Type(Arc<str>),
    /// The same, and all of them: it is for some only, by its session, its worker, or a limit that has room again.
    Some(Arc<str>),
    /// Who waits for a task of any type. The queue says [`Wake::Type`]; this is only waited for.
    AnyType,
    /// Who watches this task: it changed, or went.
    Changed(TaskId),
    /// Who waits for this sequence.
    Sequence(u64),
}

/// What a committed change says, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed<A = Answer> {
    /// For the one who asked.
    pub answer: A,
    /// For the others.
    pub wakes: Vec<Wake>,
}
