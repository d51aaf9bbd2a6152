//! One task that the worker holds.

use std::time::Instant;

use super::super::notes::Notes;
use super::super::outcome::Outcome;
use super::super::task::Task;

/// Where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// Claimed, not started.
    New,
    /// Its command runs.
    Running,
    /// Its command has ended, and the server is to be told.
    Ended(Outcome),
}

/// Why its command is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was cancelled: nobody wants its end.
    Cancelled,
    /// Somebody else may hold it.
    Lost,
    /// The worker stops.
    Stopping,
}

/// The task and what is known of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) task: Task,
    pub(super) phase: Phase,
    /// What its command said, and nobody has heard yet.
    pub(super) notes: Notes,
    pub(super) kill: Option<Why>,
    /// Whether the kill was ordered.
    pub(super) killed: bool,
    /// The same task, claimed once more while the first command was being killed.
    pub(super) again: Option<Task>,
    /// Whether the report of its end is on its way.
    pub(super) reporting: bool,
    pub(super) report_at: Instant,
    pub(super) report_tries: u32,
    /// Whether its result was refused already, so that what is reported now is that.
    pub(super) poorer: bool,
}

impl Held {
    pub(super) fn new(task: Task, now: Instant) -> Held {
        Held {
            task,
            phase: Phase::New,
            notes: Notes::default(),
            kill: None,
            killed: false,
            again: None,
            reporting: false,
            report_at: now,
            report_tries: 0,
            poorer: false,
        }
    }

    /// Whether the server's renewal of it matters.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self.kill, Some(Why::Cancelled | Why::Lost))
    }
}
