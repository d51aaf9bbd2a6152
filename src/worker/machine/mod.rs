//! When a worker claims, heartbeats, starts, kills and reports: a state machine that is told what happened and what time
//! it is, and says what to do next. It knows no processes, no sockets and no clock.

mod held;
mod inputs;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::asks::Beat;
use super::notes::Notes;
use super::outcome::Outcome;
use super::task::Task;
use held::Held;

/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A claim that came back empty is not repeated sooner than this after it began.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// News of a command are told no sooner than this after the last heartbeat.
const NEWS_TIME: Duration = Duration::from_secs(1);
/// How long ends of tasks may take to reach the server once a stopping worker has ended its commands.
const REPORT_TIME: Duration = Duration::from_secs(10);
/// Bytes of news in one heartbeat, about; what is left goes with the next.
const BEAT_BYTES: usize = 256 << 10;
/// Tasks that the worker remembers to adopt.
const MAX_STRAYS: usize = 128;
/// Tasks of one claim, at most.
const MAX_CLAIM: usize = 32;

/// How the worker behaves.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Tasks at once, at least 1.
    pub concurrency: usize,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// How long running commands may go on once the worker is told to stop.
    pub drain: Duration,
    /// A number from 0 to 1, each time another.
    pub random: fn() -> f64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// There is a connection; the number tells it from earlier ones.
    Connected(u64),
    /// There is none, for this reason; `hopeless` where trying again changes nothing.
    NotConnected {
        /// Why.
        why: String,
        /// Whether another attempt is of no use.
        hopeless: bool,
    },
    /// A claim's answer.
    Claimed(Result<Vec<Task>, Trouble>),
    /// What the server knows of a task to adopt: the task, if it is this worker's.
    Adopted(Result<Option<Task>, Trouble>),
    /// A heartbeat's answer.
    Beaten(Result<Beat, Trouble>),
    /// The answer to the report of this task's end.
    Reported(String, Result<(), Trouble>),
    /// What a command has said.
    Said(String, Notes),
    /// A command has ended.
    Ended(String, Outcome),
    /// The worker is to finish what runs, and end.
    Stop,
}

/// Why a tool gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection of this number broke, or nothing came in time.
    Broken(u64, String),
    /// The tool refused, with this code or sentence.
    Refused(String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect to the server.
    Connect,
    /// Ask for this many tasks.
    Claim(usize),
    /// Look whether this task is the worker's own.
    Adopt(String),
    /// Renew the leases, and tell what commands have said. Each with the token of its claim.
    Heartbeat(Vec<(String, Option<u64>, Notes)>),
    /// Start the task's command.
    Start(Task),
    /// Kill the task's command; its end is an [`Input::Ended`] all the same.
    Kill(String),
    /// Tell the server of a task's end.
    Report(String, Option<u64>, Outcome),
    /// Nothing is left to do.
    Finish(End),
}

/// How a worker ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, and the server knows of the end of each task.
    Drained,
    /// It was told to stop, and the ends of this many tasks did not reach the server.
    Unreported(usize),
    /// The server will not have this worker, for this reason.
    Refused(String),
}

#[derive(Debug)]
enum Link {
    Down { at: Instant },
    Connecting,
    Up(u64),
}

/// The heartbeat that is on its way.
#[derive(Debug)]
struct OnItsWay {
    news: BTreeMap<String, Notes>,
    /// The claims that it renews.
    held: Vec<(String, Option<u64>)>,
}

#[derive(Debug)]
struct Stopping {
    /// When what still runs is killed.
    kill_at: Instant,
    /// When the server need not hear of the rest.
    give_up_at: Instant,
}

/// The worker.
#[derive(Debug)]
pub struct Machine {
    pace: Pace,
    link: Link,
    /// Failures to connect since the last answer.
    tries: u32,
    /// Whether the server ever answered a claim: what it refuses before that is a mistake in the set-up.
    accepted: bool,
    claiming: Option<Instant>,
    claim_at: Instant,
    claim_tries: u32,
    beating: Option<OnItsWay>,
    last_beat: Instant,
    held: BTreeMap<String, Held>,
    claims_begun: u64,
    claims_ended: u64,
    /// Tasks that were renewed for this worker though it does not hold them, and how many claims had begun then: the
    /// answer to one that is on its way may yet bring them.
    strays: BTreeMap<String, u64>,
    adopting: bool,
    stopping: Option<Stopping>,
    refused: Option<String>,
    finished: bool,
}

impl Machine {
    /// A worker that has nothing and is connected to nobody.
    pub fn new(pace: Pace, now: Instant) -> Machine {
        Machine {
            pace,
            link: Link::Down { at: now },
            tries: 0,
            accepted: false,
            claiming: None,
            claim_at: now,
            claim_tries: 0,
            beating: None,
            last_beat: now,
            held: BTreeMap::new(),
            claims_begun: 0,
            claims_ended: 0,
            strays: BTreeMap::new(),
            adopting: false,
            stopping: None,
            refused: None,
            finished: false,
        }
    }

    /// How many tasks it holds.
    pub fn tasks(&self) -> usize {
        self.held.len()
    }

    /// How long after a number of failures: doubling, with half of it left to chance.
    fn pause(&self, tries: u32) -> Duration {
        let whole = FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
        whole.mul_f64(0.5 + (self.pace.random)().clamp(0.0, 1.0) / 2.0)
    }

    /// How often leases are renewed: three times in their length.
    fn beat_every(&self) -> Duration {
        self.pace.lease / 3
    }
}
