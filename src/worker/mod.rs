//! The worker: it claims tasks from a server, runs a command for each, and tells the server how they end.
//!
//! The main path: [`work`] → `machine` (what to do when, without I/O) → `asks` and `link` (the server's tools) and
//! `runner` → `pump` → `process` (the commands). What a command is depends on the task: [`Kinds`], and [`docker`] for
//! containers. What a killed worker leaves behind, its [`reaper`] ends.

mod asks;
pub mod docker;
mod drive;
mod groups;
mod kinds;
mod lines;
mod link;
pub mod machine;
mod mailbox;
mod notes;
mod outcome;
mod plan;
mod process;
mod pump;
pub mod reaper;
mod runner;
mod task;

pub use asks::Beat;
pub use drive::{Settings, work};
pub use groups::Groups;
pub use kinds::Kinds;
pub use notes::Notes;
pub use outcome::{Exit, Outcome, Output};
pub use plan::{Plan, Step};
pub use runner::RunLimits;
pub use task::Task;
