//! The task queue RPC: from a request to its answer, without a stream.
//!
//! One table says which operations there are ([`Operation`]), one which fields they read, one what can go wrong
//! ([`ErrorCode`]). The order of the checks is that of the protocol: the line, its JSON, that it is an object, who
//! asks, the operation, its fields. The main path is [`TaskQueue::answer`].

mod claims;
mod codes;
mod fields;
pub(crate) mod fuzz;
mod members;
mod operations;
#[cfg(test)]
mod owner_tests;
mod peers;
mod queue;
mod readable;
mod refusal;
mod renewals;
mod status;
mod submits;
mod task_json;
mod tasks;
#[cfg(test)]
mod tests;
mod tools;
mod values;
mod workflow;
#[cfg(test)]
mod workflow_tests;

use std::sync::Arc;
use std::time::Instant;

pub use codes::ErrorCode;
pub use operations::{OPERATIONS, Operation};
pub use peers::HeartbeatError;
pub use queue::{TaskQueue, TaskQueueOptions};
pub use tools::{CallTool, ToolCall, ToolOutcome};
pub use workflow::{FetchAnswerError, fetch_answer};

use super::Remote;
use crate::limits::Limit;
use crate::scheduler::MerkleClock;
use crate::store::LocalStore;

/// The time, by both clocks: one that only runs on, and the one that people read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// Decides who is alive and what is over.
    pub instant: Instant,
    /// Is told to others: seconds since the epoch.
    pub unix_s: f64,
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The peer, as its connection proved it; `None`: a client of this node's own tools, which may do everything.
    pub remote: Option<&'a Remote>,
    /// The time.
    pub now: Now,
}

impl Caller<'_> {
    /// The id that the transport proved; empty for a client of this node's own tools.
    fn transport(&self) -> &str {
        self.remote.map_or("", |remote| &remote.principal)
    }
}

/// What requests are answered with, on the core that took them.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    /// The tools of this node.
    pub tools: &'a dyn CallTool,
    /// The task queue, the cache and the workflow tasks, where there are any.
    pub store: Option<&'a LocalStore>,
    /// Whom to tell of peers that have workflow tasks for this node, where anybody fetches them.
    pub fetches: Option<&'a dyn FetchFrom>,
}

/// Fetches workflow tasks from peers; the server does it.
pub trait FetchFrom {
    /// The peer has something to fetch. It is done later, and need not be done at all: the next heartbeat says it again.
    fn fetch_from(&self, peer: &Remote);
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// One JSON object on one line, without a newline; always less than 1 MiB.
    pub json: Vec<u8>,
    /// The index of the operation in [`OPERATIONS`], to count it by; `usize::MAX` for a request that came to none.
    pub operation: usize,
    /// What went wrong, if anything did.
    pub error: Option<ErrorCode>,
    /// The limit that was hit, where that was the reason.
    pub limit: Option<Limit>,
}

/// What is known of the others at one moment.
struct Scheduler {
    clock: MerkleClock,
    /// The last one heard of first.
    alive: Vec<Arc<members::Member>>,
}
