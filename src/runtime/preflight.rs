//! What the machine must offer before the server may start, each as one line with its mend.
//!
//! Facts are gathered first (files, limits, and a trial of io_uring), then judged by pure functions, so that every
//! line can be tested without the machine that deserves it.

mod checks;
mod facts;
mod uring;

use std::fmt;

use serde::Serialize;

use super::topology::{CoreSet, TopologyError};

pub use facts::{Facts, RangeLimit, Seccomp};
pub use uring::UringTrial;

/// What the server is going to do, as far as the machine is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The cores asked for, if any.
    pub cores: Option<Vec<usize>>,
    /// The bound on cores, if any.
    pub max_cores: Option<usize>,
    /// Connections that may be open at once.
    pub max_connections: u64,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Status {
    /// As it should be.
    #[serde(rename = "ok")]
    Ok,
    /// The server starts, but something will be slow or scarce.
    #[serde(rename = "warn")]
    Warn,
    /// The server would fail; it refuses to start.
    #[serde(rename = "FAIL")]
    Fail,
}

/// One thing that was checked. Its text is `ok|warn|FAIL name: found - mend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it went.
    pub status: Status,
    /// What was checked.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { status: Status::Ok, name, found: found.into(), mend: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Warn, name, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Fail, name, found: found.into(), mend: Some(mend.into()) }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        write!(f, "{status} {}: {}", self.name, self.found)?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, " - {mend}"))
    }
}

/// Every check, in the order in which problems are best mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
    /// The cores that the plan gets on this machine.
    pub cores: Result<CoreSet, TopologyError>,
}

impl Report {
    /// The cores to run on, when nothing stands against it. Warnings go to the log.
    ///
    /// # Errors
    /// The checks that failed.
    pub fn require(self) -> Result<CoreSet, PreflightError> {
        self.warnings().for_each(|check| tracing::warn!("{check}"));
        let failed: Vec<_> = self.failures().cloned().collect();
        match self.cores {
            Ok(cores) if failed.is_empty() => Ok(cores),
            _ => Err(PreflightError { failed }),
        }
    }

    /// The checks that keep the server from starting.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.status == Status::Fail)
    }

    /// The checks that somebody should look at.
    pub fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.status == Status::Warn)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checks.iter().try_for_each(|check| writeln!(f, "{check}"))
    }
}

/// The machine cannot run the server; holds each check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightError {
    /// At least one check.
    pub failed: Vec<Check>,
}

impl fmt::Display for PreflightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server cannot run on this machine:")?;
        self.failed.iter().try_for_each(|check| write!(f, "\n  {check}"))
    }
}

impl std::error::Error for PreflightError {}

/// Raises this process's soft limits as far as the plan needs and the hard limits allow, then checks everything.
pub fn examine(plan: &Plan) -> Report {
    let cores = super::topology::select(plan.cores.as_deref(), plan.max_cores);
    let executors = cores.as_ref().map_or(1, |set| set.cores.len());
    facts::raise_limit(libc::RLIMIT_NOFILE, checks::files_needed(plan, executors));
    facts::raise_limit(libc::RLIMIT_MEMLOCK, checks::memlock_needed(executors));
    judge(plan, &Facts::gather(), cores)
}

/// Judges facts, wherever they come from.
pub fn judge(plan: &Plan, facts: &Facts, cores: Result<CoreSet, TopologyError>) -> Report {
    let executors = cores.as_ref().map_or(1, |set| set.cores.len());
    let checks = vec![
        checks::kernel(facts),
        checks::seccomp(facts),
        checks::io_uring(facts),
        checks::opcodes(facts),
        checks::memlock(facts, executors),
        checks::files(facts, plan, executors),
        checks::cores(facts, &cores),
        checks::quota(facts, &cores),
        checks::numa(facts, &cores),
    ];
    Report { checks, cores }
}
