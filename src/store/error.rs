//! Why a request to the store changes nothing, or why nobody can say whether it did.

use std::fmt;

use crate::journal::AppendError;
use crate::limits::Limit;
use crate::queue::{Refusal, TooManyWaiters};
use crate::scheduler;

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The queue or the cache refused it.
    Refused(Refusal),
    /// The workflow scheduler refused it.
    Workflow(scheduler::Refusal),
    /// A page of a peer's workflow tasks is none; what is wrong with it.
    BadPage(&'static str),
    /// There is no room on the disk of the journal. Nothing was changed.
    DiskFull,
    /// Too many changes wait for the journal. Nothing was changed.
    Busy,
    /// Too many requests wait already. Nothing was changed.
    TooManyWaiters,
    /// The journal has failed. Whether the change is kept shows at the next start.
    Poisoned,
    /// The server has stopped. Whether the change is kept shows at the next start.
    Closed,
}

impl StoreError {
    /// The stable code for clients.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Refused(refusal) => refusal.code(),
            StoreError::Workflow(refusal) => refusal.code(),
            StoreError::BadPage(_) => "malformed_answer",
            StoreError::DiskFull => "disk_full",
            StoreError::Busy | StoreError::TooManyWaiters => "overloaded",
            StoreError::Poisoned | StoreError::Closed => "queue_unavailable",
        }
    }

    /// The limit that was hit, where that was the reason.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            StoreError::Refused(refusal) => refused_at(refusal),
            StoreError::Workflow(scheduler::Refusal::Full("max_workflow_tasks")) => {
                Some(Limit::WorkflowTasks)
            }
            StoreError::Workflow(scheduler::Refusal::Full(_)) => Some(Limit::WorkflowBytes),
            StoreError::Busy => Some(Limit::JournalWaitingBytes),
            StoreError::TooManyWaiters => Some(Limit::TaskWaiters),
            _ => None,
        }
    }
}

fn refused_at(refusal: &Refusal) -> Option<Limit> {
    match refusal {
        Refusal::QueueFull("max_tasks") => Some(Limit::QueueTasks),
        Refusal::QueueFull("max_total_bytes") => Some(Limit::QueueBytes),
        Refusal::QueueFull(_) => Some(Limit::QueueTypes),
        Refusal::TooLarge { what: "payload", .. } => Some(Limit::TaskPayloadBytes),
        Refusal::TooLarge { what: "result", .. } => Some(Limit::TaskResultBytes),
        Refusal::TooLarge { what: "key", .. } => Some(Limit::CacheKeyBytes),
        Refusal::TooLarge { what: "value", .. } => Some(Limit::CacheValueBytes),
        Refusal::TooLarge { what: "the change", .. } => Some(Limit::JournalRecordBytes),
        Refusal::TooLarge { what: "task_types", .. } => None,
        Refusal::TooLarge { .. } => Some(Limit::TaskNameBytes),
        _ => None,
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Refused(refusal) => refusal.fmt(f),
            StoreError::Workflow(refusal) => refusal.fmt(f),
            StoreError::BadPage(what) => write!(f, "the peer's answer to workflow.fetch cannot be used: {what}"),
            StoreError::DiskFull => {
                f.write_str("the disk of this node's journal is full; nothing was changed, so try again later")
            }
            StoreError::Busy => f.write_str(
                "too many changes wait for the journal (max_journal_waiting_bytes); nothing was changed, so try again later",
            ),
            StoreError::TooManyWaiters => {
                f.write_str("too many requests wait for tasks (max_task_waiters); ask without waiting, or later")
            }
            StoreError::Poisoned => f.write_str(
                "the journal of this node has failed; whether the change is kept shows once the node is back, so look first",
            ),
            StoreError::Closed => {
                f.write_str("this node stops; whether the change is kept shows once it is back, so look first")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        StoreError::Refused(refusal)
    }
}

impl From<scheduler::Refusal> for StoreError {
    fn from(refusal: scheduler::Refusal) -> Self {
        StoreError::Workflow(refusal)
    }
}

impl From<TooManyWaiters> for StoreError {
    fn from(_: TooManyWaiters) -> Self {
        StoreError::TooManyWaiters
    }
}

impl From<AppendError> for StoreError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::DiskFull => StoreError::DiskFull,
            AppendError::Busy => StoreError::Busy,
            AppendError::TooLarge(max) => StoreError::Refused(Refusal::TooLarge { what: "the change", max }),
            AppendError::Poisoned => StoreError::Poisoned,
            AppendError::Closed => StoreError::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_code_and_says_what_to_do() {
        let errors = [
            (StoreError::DiskFull, "disk_full", None),
            (StoreError::Busy, "overloaded", Some(Limit::JournalWaitingBytes)),
            (StoreError::TooManyWaiters, "overloaded", Some(Limit::TaskWaiters)),
            (StoreError::Poisoned, "queue_unavailable", None),
            (Refusal::QueueFull("max_tasks").into(), "queue_full", Some(Limit::QueueTasks)),
            (Refusal::TaskNotFound.into(), "task_not_found", None),
            (
                scheduler::Refusal::Full("max_workflow_bytes").into(),
                "workflow_full",
                Some(Limit::WorkflowBytes),
            ),
            (scheduler::Refusal::TaskExists.into(), "task_exists", None),
            (StoreError::BadPage("it has no end"), "malformed_answer", None),
            (AppendError::TooLarge(9).into(), "too_large", Some(Limit::JournalRecordBytes)),
        ];
        for (error, code, limit) in errors {
            assert_eq!((error.code(), error.limit()), (code, limit), "{error}");
            assert!(error.to_string().len() > 20);
        }
    }
}
