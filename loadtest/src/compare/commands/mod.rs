//! Servers given by their commands, side by side: fresh processes, interleaved rounds, ratios run by run.

mod server;
mod table;

use std::fs;
use std::time::Duration;

use serde::Serialize;

use super::args::CompareArgs;
use super::plan::order;
use super::verdict::LEAST_ROUNDS;
use crate::machine::Machine;
use crate::options::{Era, Shape};
use crate::pace::Pace;
use crate::run::{self, Job};
use crate::run_result::RunResult;
use crate::values::{CpuList, Endpoint, Load, NamedCommand, Target};
use server::{Fill, Idle, Server};

pub(super) use server::free_port;

/// Loads where the command line names none.
const LOADS: [Load; 4] = [
    Load { connections: 8, pipeline: 1 },
    Load { connections: 64, pipeline: 1 },
    Load { connections: 512, pipeline: 1 },
    Load { connections: 16, pipeline: 16 },
];

/// Everything a comparison found, as written to compare.json.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) machine: Machine,
    pub(crate) server_cpu: usize,
    pub(crate) shape: Shape,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) loads: Vec<LoadResult>,
    pub(crate) idle: Vec<IdleResult>,
}

/// One server of the comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) command: String,
    /// The revision it is spoken to in.
    pub(crate) era: Era,
    /// Whether it only copies bytes and is checked as such.
    pub(crate) floor: bool,
}

/// One load: every round's report for every server, in the order of [`Comparison::subjects`].
#[derive(Debug, Serialize)]
pub(crate) struct LoadResult {
    pub(crate) load: Load,
    /// `rounds[round][subject]`
    pub(crate) rounds: Vec<Vec<RunResult>>,
}

/// What one server costs before anybody uses it.
#[derive(Debug, Serialize)]
pub(crate) struct IdleResult {
    pub(crate) name: String,
    pub(crate) command: String,
    /// Spawn to first right answer, in milliseconds, of each start.
    pub(crate) first_answer_ms: Vec<f64>,
    pub(crate) idle: Idle,
}

/// Runs the comparison; an error when nothing could be compared.
pub(crate) fn run(args: &CompareArgs) -> Result<Comparison, String> {
    let (mut shape, server_cpu) = (args.shape()?, args.server_cpu.unwrap_or(0));
    // A generator on the server's core would measure itself.
    let own_core = CpuList(vec![if server_cpu == 1 { 0 } else { 1 }]);
    shape.cpu.get_or_insert(own_core);
    if shape.cpu.as_ref().is_some_and(|list| list.0.contains(&server_cpu)) {
        return Err(format!("--cpu must leave out the server's core {server_cpu}"));
    }
    let subjects: Vec<Subject> = [(&args.servers, false), (&args.floors, true)]
        .into_iter()
        .flat_map(|(list, floor)| list.iter().map(move |named| (named, floor)))
        .map(|(named, floor)| Subject::new(named, floor, shape.era))
        .collect();
    let mut comparison = Comparison {
        machine: Machine::here(),
        server_cpu,
        shape: shape.clone(),
        subjects,
        loads: Vec::new(),
        idle: Vec::new(),
    };
    let rounds = args.rounds.unwrap_or(LEAST_ROUNDS);
    let mut bench = Bench { args, shape, server_cpu, rounds, response_bytes: 0 };
    for load in if args.loads.is_empty() { &LOADS[..] } else { &args.loads } {
        let rounds = bench.rounds(&comparison.subjects, *load)?;
        comparison.loads.push(LoadResult { load: *load, rounds });
    }
    if !args.idle_s.is_zero() {
        comparison.idle = bench.idle(&comparison.subjects)?;
    }
    Ok(comparison)
}

/// Writes compare.md and compare.json.
pub(super) fn write(args: &CompareArgs, comparison: &Comparison) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot write to {}: {error}", args.out.display());
    fs::create_dir_all(&args.out).map_err(|error| failed(&error))?;
    let json = serde_json::to_string_pretty(comparison).map_err(|error| failed(&error))?;
    fs::write(args.out.join("compare.json"), json).map_err(|error| failed(&error))?;
    fs::write(args.out.join("compare.md"), table::markdown(comparison)).map_err(|error| failed(&error))
}

impl Comparison {
    /// How many runs must not be used.
    pub(crate) fn void_runs(&self) -> usize {
        let reports = self.loads.iter().flat_map(|load| load.rounds.iter().flatten());
        reports.filter(|report| report.void).count()
    }

    /// The tables, as written to compare.md.
    pub(crate) fn markdown(&self) -> String {
        table::markdown(self)
    }
}

impl Subject {
    fn new(named: &NamedCommand, floor: bool, default_era: Era) -> Self {
        let (name, command) = (named.name.clone(), named.command.clone());
        Self { name, command, era: named.era.unwrap_or(default_era), floor }
    }
}

/// The state of a comparison in progress.
struct Bench<'a> {
    args: &'a CompareArgs,
    shape: Shape,
    server_cpu: usize,
    rounds: u32,
    /// The length of the first server's answer, which the floors are told.
    response_bytes: usize,
}

impl Bench<'_> {
    fn rounds(&mut self, subjects: &[Subject], load: Load) -> Result<Vec<Vec<RunResult>>, String> {
        let mut rounds = Vec::new();
        for round in 0..self.rounds {
            let mut reports: Vec<Option<RunResult>> = subjects.iter().map(|_| None).collect();
            for at in order(round, subjects.len()) {
                let report = self.once(&subjects[at], load)?;
                progress(&subjects[at], load, round, &report);
                reports[at] = Some(report);
            }
            rounds.push(reports.into_iter().flatten().collect());
        }
        Ok(rounds)
    }

    /// One run against a fresh, pinned process.
    fn once(&mut self, subject: &Subject, load: Load) -> Result<RunResult, String> {
        let fill = self.fill()?;
        let mut job = self.job(subject, &fill, load)?;
        let server = Server::start(&subject.command, &fill, Some(self.server_cpu), &job)?;
        if self.response_bytes == 0 {
            self.response_bytes = server.answer_bytes;
        }
        job.server_pid = Some(server.pid());
        let report = run::run(&job);
        drop(server);
        report
    }

    /// Starts each server as its user would, as often as there are rounds, and watches the last one idle.
    fn idle(&mut self, subjects: &[Subject]) -> Result<Vec<IdleResult>, String> {
        let mut results = Vec::new();
        for subject in subjects {
            let other = self.args.idle.iter().find(|named| named.name == subject.name);
            let command = other.map_or(&subject.command, |named| &named.command);
            let mut first_answer_ms = Vec::new();
            let mut idle = None;
            for round in 0..self.rounds {
                let fill = self.fill()?;
                let job = self.job(subject, &fill, Load { connections: 1, pipeline: 1 })?;
                let server = Server::start(command, &fill, None, &job)?;
                first_answer_ms.push(server.first_answer.as_secs_f64() * 1e3);
                if round + 1 == self.rounds {
                    idle = Some(server.watch_idle(self.args.idle_s)?);
                }
                drop(server);
                std::thread::sleep(Duration::from_millis(20));
            }
            if let Some(idle) = idle {
                let (name, command) = (subject.name.clone(), command.clone());
                results.push(IdleResult { name, command, first_answer_ms, idle });
            }
        }
        Ok(results)
    }

    fn fill(&self) -> Result<Fill, String> {
        Ok(Fill { port: free_port()?, cpu: self.server_cpu, response_bytes: self.response_bytes })
    }

    fn job(&self, subject: &Subject, fill: &Fill, load: Load) -> Result<Job, String> {
        let mut shape = self.shape.clone();
        shape.pipeline = Some(load.pipeline);
        shape.era = subject.era;
        let target = Target::new(&format!("127.0.0.1:{}", fill.port), "/mcp")?;
        let job = Job::new(Endpoint::Http(target), Pace::Closed, Some(load.connections), &shape)?;
        Ok(Job { raw: subject.floor, ..job })
    }
}

/// One line a run on the way, so that a long comparison shows that it lives.
#[allow(
    clippy::print_stderr,
    reason = "progress of a command goes to the terminal, its result to standard output"
)]
fn progress(subject: &Subject, load: Load, round: u32, report: &RunResult) {
    eprintln!(
        "round {} {:>4}x{:<3} {:<16} {:>9.0}/s {:>7.2} us CPU/request{}",
        round + 1,
        load.connections,
        load.pipeline,
        subject.name,
        report.requests_per_second,
        report.server.as_ref().map_or(f64::NAN, |server| server.cpu_us_per_request),
        if report.void { "  VOID" } else { "" }
    );
}
