//! What is asked of the scheduler, what it answers, and why it refuses.

use std::fmt;

use serde::Serialize;

use super::task::Token;
use super::wire::Ack;

/// A task to be submitted.
#[derive(Debug, Clone)]
pub struct Submit {
    /// Its id; not empty, and unused.
    pub task_id: Box<str>,
    /// The workflow that it belongs to.
    pub workflow_id: Box<str>,
    /// What it is called.
    pub name: Box<str>,
    /// Its tags, in any spelling.
    pub tags: Vec<Box<str>>,
    /// 1 to 10; 10 comes first.
    pub priority: i64,
}

/// A submitted task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// Its id.
    pub task_id: Box<str>,
    /// The digest that stands for it.
    pub task_hash: Box<str>,
    /// Its priority.
    pub priority: u8,
    /// The peer that owns it.
    pub owner: Box<str>,
    /// Tags that mean nothing here, as they were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_tags: Vec<Box<str>>,
}

/// A task that is given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextTask {
    /// Its id.
    pub task_id: Box<str>,
    /// The workflow that it belongs to.
    pub workflow_id: Box<str>,
    /// What it is called.
    pub name: Box<str>,
    /// Its tags.
    pub tags: Box<[Box<str>]>,
    /// Its priority.
    pub priority: u8,
    /// The digest that stands for it.
    pub task_hash: Box<str>,
    /// The node that gives it out.
    pub assigned_peer: Box<str>,
    /// The token under which it is given out.
    pub fencing_token: Token,
}

/// What a page of another node's tasks came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// Tasks that were not known here.
    pub new: usize,
    /// Tasks that the peer knew more of.
    pub changed: usize,
    /// Tasks for which there was no room.
    pub no_room: usize,
    /// What to tell the peer with `workflow.ack`; `None` while there is no room for all of it.
    pub ack: Option<Ack>,
    /// Whether the peer has more: fetch again.
    pub more: bool,
}

/// What time did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Tasks of silent peers that this node holds now.
    pub taken_over: usize,
    /// Tasks that were given out, not completed in time, and wait again.
    pub overdue: usize,
    /// Completed tasks that were kept long enough.
    pub removed: usize,
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The task is durable here.
    Submitted(Submitted),
    /// The task that is given out; `None` where this node has none to give.
    Next(Option<NextTask>),
    /// The task is done.
    Completed {
        /// Its id.
        task_id: Box<str>,
        /// It was before.
        already: bool,
    },
    /// A page was taken over.
    Merged(Merged),
    /// Time was looked at.
    Ticked(Ticked),
    /// It is recorded that a peer was heard of.
    Heard,
}

/// How far a request came under the lock.
pub type Step = crate::queue::Step<Answer>;

/// How far a request came, or why it is refused.
pub type Asked = Result<Step, Refusal>;

/// What a committed change says, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// For the one who asked.
    pub answer: Answer,
    /// The peer that has something to fetch; a heartbeat to it at once saves it the wait for the next.
    pub tell: Option<Box<str>>,
}

/// Why a request changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The id names a task already.
    TaskExists,
    /// There is no such task.
    TaskNotFound,
    /// Another node holds the task.
    NotHolder(Box<str>),
    /// Another node took the task over.
    TakenOver(Box<str>),
    /// The node holds as much as it may; the limit's name.
    Full(&'static str),
    /// Something is longer than it may be.
    TooLarge {
        /// What is.
        what: &'static str,
        /// The bytes allowed.
        max: usize,
    },
    /// There are more tags than this.
    TooManyTags(usize),
    /// Something has no value that it may have, and what it may be.
    Invalid(&'static str),
}

impl Refusal {
    /// The stable code for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TaskExists => "task_exists",
            Refusal::TaskNotFound => "task_not_found",
            Refusal::NotHolder(_) => "not_holder",
            Refusal::TakenOver(_) => "taken_over",
            Refusal::Full(_) => "workflow_full",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::TooManyTags(_) => "too_many_tags",
            Refusal::Invalid(_) => "invalid_value",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TaskExists => f.write_str("the task_id names a task already; submit under another"),
            Refusal::TaskNotFound => f.write_str("there is no task of this id; it may be past its retention"),
            Refusal::NotHolder(peer) => write!(f, "peer {peer} holds the task; complete it there"),
            Refusal::TakenOver(peer) => {
                write!(
                    f,
                    "peer {peer} took the task over while this node was not heard of; it completes there"
                )
            }
            Refusal::Full(limit) => {
                write!(f, "the node keeps as many workflow tasks as it may ({limit}); try again later")
            }
            Refusal::TooLarge { what, max } => write!(f, "{what} may have at most {max} bytes"),
            Refusal::TooManyTags(max) => write!(f, "a task may have at most {max} tags"),
            Refusal::Invalid(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Refusal {}
