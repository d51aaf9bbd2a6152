//! Several servers side by side, in interleaved rounds: this one against the same handlers behind a bridge between
//! runtimes, or any servers given by their commands.
//!
//! The way of the former: [`plan`] → [`cluster`] starts the servers → [`equal`] asks whether they answer alike → [`mod@bench`]
//! runs the plan with the [`generator`] → [`verdict`] on each pair of series → [`table`].

mod args;
mod ask;
mod bench;
mod cluster;
pub(crate) mod commands;
mod cpus;
mod equal;
mod figures;
mod generator;

mod mask;
mod node;
mod paper;
mod plan;
mod subject;
mod table;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use serde::Serialize;

use crate::machine::Machine;
use crate::report;
use bench::{CellResult, Measured, Runner as _, Turn, run_layout};
use cluster::Cluster;
use cpus::Cpus;
use figures::Metric;
use generator::Generator;
use plan::{Layout, Pace, Plan};
use subject::{Own, Subject};
use verdict::Paired;

use args::JournalMode;

pub(crate) use args::CompareArgs;

/// A server that nobody asks anything should use no more than this share of a core.
const MAX_IDLE_SHARE: f64 = 0.02;

/// Everything that a comparison of native and bridged servers found.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) machine: Machine,
    #[serde(serialize_with = "unix_ms")]
    pub(crate) started: SystemTime,
    pub(crate) journal_mode: JournalMode,
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) cpus: Cpus,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) results: Vec<CellResult>,
    /// What a reader must know.
    pub(crate) notes: Vec<String>,
}

/// What `compare` did, for the terminal and the exit code.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The tables.
    pub(crate) markdown: String,
    /// Whether there were runs that must not be used.
    pub(crate) is_void: bool,
    /// Runs with wrong or missing answers, by server.
    pub(crate) wrong: Vec<String>,
    /// Why the report could not be written.
    pub(crate) unwritten: Option<String>,
}

/// Runs the comparison of the command line and writes its report.
pub(crate) fn run(args: &CompareArgs) -> Result<Outcome, String> {
    node::end_all_on_signals()?;
    report::prepare(&args.out)?;
    if !args.servers.is_empty() {
        let comparison = commands::run(args)?;
        let is_void = comparison.void_runs() > 0;
        let (markdown, unwritten) = (comparison.markdown(), commands::write(args, &comparison).err());
        return Ok(Outcome { markdown, is_void, wrong: Vec::new(), unwritten });
    }
    let comparison = measure(args)?;
    let markdown = table::markdown(&comparison);
    let unwritten = write(args, &comparison, &markdown).err();
    // A run that is void by the machine's doing leaves fewer pairs, and the table says so.
    Ok(Outcome { markdown, is_void: false, wrong: comparison.wrong(), unwritten })
}

/// What the command line asks for, before anything has run.
fn prepared(args: &CompareArgs) -> Result<Comparison, String> {
    let allowed =
        ringmesh::runtime::topology::affinity().map_err(|error| format!("no list of cores: {error}"))?;
    let generator = match args.cpu.as_ref().map(|list| &list.0[..]) {
        None => None,
        Some([one]) => Some(*one),
        Some(several) => return Err(format!("--cpu {several:?}: here the generator has one core")),
    };
    let (subjects, notes) = subjects(args);
    Ok(Comparison {
        machine: Machine::here(),
        started: SystemTime::now(),
        journal_mode: args.journal_mode,
        seed: args.seed,
        plan: Plan::new(&args.choice(), allowed.len()),
        cpus: Cpus::new(&allowed, args.server_cpu, generator)?,
        subjects,
        results: Vec::new(),
        notes,
    })
}

fn measure(args: &CompareArgs) -> Result<Comparison, String> {
    let mut comparison = prepared(args)?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?,
    };
    let own = Own { program, journal_mode: args.journal_mode };
    let below = args.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let Comparison { plan, cpus, subjects, results, notes, .. } = &mut comparison;
    let runs = plan.runs(|cell| subjects.iter().filter(|subject| subject.takes_part(cell)).count());
    say(&format!("{runs} runs, about {:.0} s", plan.time(runs).as_secs_f64()));
    notes.iter().for_each(|note| say(note));
    let mut done = 0_usize;
    for layout in plan.layouts() {
        let cluster = Cluster::start(subjects, &own, layout, cpus, &below)?;
        cluster.check_equal(subjects)?;
        say(&format!("{}: all answers are equal", cpus.words(layout)));
        let mut generator = Generator { cluster, subjects, cpus, plan, seed: args.seed };
        warm_up(plan, layout, &mut generator)?;
        let mut told = |turn: &Turn, measured: &Measured| {
            done += 1;
            say(&progress(&subjects[turn.subject], turn, measured, (done, runs.max(done))));
        };
        let (found, left_out) = run_layout(plan, layout, subjects, &mut generator, &mut told)?;
        results.extend(found);
        notes.extend(left_out);
    }
    Ok(comparison)
}

/// One run of each server that does not count: the first one of a process pays for what all later ones find done.
fn warm_up(plan: &Plan, layout: Layout, generator: &mut Generator<'_>) -> Result<(), String> {
    for subject in 0..generator.subjects.len() {
        let mut cells = plan.cells.iter().filter(|cell| cell.layout == layout && cell.pace == Pace::Closed);
        if let Some(cell) = cells.find(|cell| generator.subjects[subject].takes_part(cell)) {
            generator.run(&Turn { subject, cell: *cell, offered: None, round: 0 })?;
        }
    }
    Ok(())
}

/// Who is compared, and who is left out.
fn subjects(args: &CompareArgs) -> (Vec<Subject>, Vec<String>) {
    let mut subjects = Subject::always();
    if args.quick {
        return (subjects, Vec::new());
    }
    subjects.push(Subject::dialling());
    let (peers, left_out) = subject::peers(&args.peers);
    subjects.extend(peers);
    (subjects, left_out)
}

fn write(args: &CompareArgs, comparison: &Comparison, markdown: &str) -> Result<(), String> {
    let written = report::write(&args.out, &paper::report(comparison))?;
    let path = args.out.join("compare.md");
    fs::write(&path, markdown).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    say(&format!("report: {}, {} and {}", written.page.display(), written.json.display(), path.display()));
    Ok(())
}

fn unix_ms<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// One line a run on the way, so that a long comparison shows that it lives.
fn progress(subject: &Subject, turn: &Turn, measured: &Measured, (done, all): (usize, usize)) -> String {
    let figures = &measured.figures;
    let number =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let void = match (figures.errors, figures.void_reasons.first()) {
        (0, None) => String::new(),
        (0, Some(reason)) => format!("  VOID: {reason}"),
        (errors, _) => format!("  WRONG: {errors} errors: {}", figures.first_error.as_deref().unwrap_or("?")),
    };
    format!(
        "{done}/{all} {} round {} {}: {:<12} {:>8.0}/s  p99 {:>7} us  {:>6} us CPU/request{void}",
        turn.cell.layout.name(),
        turn.round + 1,
        turn.cell.words(),
        subject.name,
        figures.per_second,
        number(figures.p99_us, 0),
        number(figures.cpu_us, 1),
    )
}

#[allow(
    clippy::print_stderr,
    reason = "progress of a command goes to the terminal, its result to standard output"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

impl Comparison {
    /// The layouts, in the order in which they ran.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        let mut layouts: Vec<Layout> = self.results.iter().map(|result| result.cell.layout).collect();
        layouts.dedup();
        layouts
    }

    /// The first server against another one, under one load and by one metric.
    pub(crate) fn paired(&self, result: &CellResult, right: usize, metric: Metric) -> Paired {
        Paired::new(&result.series(0, metric), &result.series(right, metric), metric.better())
    }

    /// Each kind of reason why runs are void, with how many are, and the first of them in full.
    pub(crate) fn void_reasons(&self) -> BTreeMap<String, (usize, String)> {
        let kinds = self.kinds(|run| &run.figures.void_reasons);
        let named =
            |((of, kind), said): ((usize, String), _)| (format!("{}: {kind}", self.subjects[of].name), said);
        kinds.into_iter().map(named).collect()
    }

    /// What a reader must know of runs that count: how many of which server, and the first of each kind in full.
    pub(crate) fn run_notes(&self) -> Vec<String> {
        let kinds =
            self.kinds(|run| if run.figures.void_reasons.is_empty() { &run.figures.notes } else { &[] });
        let said = |((of, _), (runs, first)): ((usize, String), (usize, String))| {
            format!("In {runs} runs of {} that count: {first}", self.subjects[of].name)
        };
        kinds.into_iter().map(said).collect()
    }

    /// What is said of runs, by server and kind: of how many, and the first of them in full.
    fn kinds(&self, of_run: impl Fn(&Measured) -> &[String]) -> BTreeMap<(usize, String), (usize, String)> {
        let mut kinds: BTreeMap<(usize, String), (usize, String)> = BTreeMap::new();
        for (of, _, run) in self.results.iter().flat_map(CellResult::runs) {
            for said in of_run(run) {
                // What comes after these, or in front, are figures, which differ from run to run.
                let kind = said.split([':', ',']).next().unwrap_or(said);
                let kind = kind.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned();
                kinds.entry((of, kind)).or_insert_with(|| (0, said.clone())).0 += 1;
            }
        }
        kinds
    }

    /// Runs with wrong or missing answers, by server.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for result in &self.results {
            for (of, round, run) in result.runs().filter(|(_, _, run)| run.figures.errors > 0) {
                wrong.push(format!(
                    "{}, {} ({}), round {}: {} errors, the first: {}",
                    self.subjects[of].name,
                    result.cell.words(),
                    result.cell.layout.name(),
                    round + 1,
                    run.figures.errors,
                    run.figures.first_error.as_deref().unwrap_or("not said")
                ));
            }
        }
        wrong
    }
}
