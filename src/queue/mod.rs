//! The task queue and the cache as pure state machines: no lock, no file, no clock of their own.
//!
//! Every change has two phases. A request ([`Queue::submit`], [`Queue::claim`], …) reserves it and gives a [`Change`]
//! with its record; the caller journals the record and then calls [`Queue::commit`], which makes the change visible and
//! says whom to wake. Until then nobody sees it: who meets it is told to [`Step::Wait`]. [`Queue::abort`] undoes a
//! change whose record was refused before it was written. At-least-once: a task whose lease ends is given out again.
//!
//! - `request.rs`, `step.rs`: what is asked and what is answered; `settings.rs`: every bound with its default.
//! - `task.rs`: a task: what it is, and what happens to it.
//! - `machine.rs`: the queue, reservation and commit; `submit.rs`, `claim.rs`, `lease.rs` and `finish.rs` are what clients
//!   ask, `due.rs` is what time does, `list.rs` what is read.
//! - `store.rs`: the durable tasks and their indexes; `ready.rs`: the order in which they are claimed.
//! - `codec.rs`, `recover.rs`: records (after-images), replay and snapshots.
//! - `merge.rs`: results as JSON objects. `cache/`: a map with times to live. `waiters.rs`: who waits for what.

pub mod cache;
mod claim;
mod codec;
mod due;
mod finish;
mod lease;
mod list;
mod machine;
mod merge;
#[cfg(test)]
mod model;
mod ready;
mod recover;
mod request;
mod settings;
mod step;
mod store;
mod submit;
mod task;
#[cfg(test)]
mod tests;
mod time;
mod waiters;

pub use claim::Candidate;
pub use codec::BadRecord;
pub use due::Ticked;
pub use list::{Page, cursor_after};
pub use machine::{Counts, Queue};
pub use recover::KIND_TASKS;
pub use request::{Answer, Claim, Complete, Outcome, Progress, Proof, Refusal, Submit};
pub use settings::Settings;
pub use step::{Asked, Change, Committed, Sequencer, Step, Wake};
pub use task::{Core, Holder, State, Status, Task, TaskId, TaskIdText};
pub use time::Now;
pub use waiters::{TooManyWaiters, Waiter, Waiters};
