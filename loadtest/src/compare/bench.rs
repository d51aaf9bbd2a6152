//! Runs a plan: every load over all its servers, round by round, and the rates of the open loops from the closed ones.

use serde::Serialize;

use super::figures::{Figures, Metric};
use super::plan::{Cell, Layout, Mix, Pace, Plan, order};
use super::subject::{Kind, Subject};
use crate::run_result::RunResult;
use crate::stats::Spread;

/// Rounds that may be added to a load whose rounds were void by no fault of a server, at most.
pub(crate) const EXTRA_ROUNDS: u32 = 2;

/// One run that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// The server, by its place among the subjects.
    pub(crate) subject: usize,
    pub(crate) cell: Cell,
    /// Operations offered a second; none in a closed loop.
    pub(crate) offered: Option<f64>,
    pub(crate) round: u32,
}

/// What one run showed, and what happened beside it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// The largest share of a core that a server took which nobody asked anything.
    pub(crate) bystander_share: f64,
    /// About how much CPU the remote node used per request, in microseconds.
    pub(crate) remote_cpu_us: Option<f64>,
    /// Everything the generator says of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<RunResult>,
}

/// Who does the runs of a layout: the generator against servers that serve, or a script in tests.
pub(crate) trait Runner {
    /// Does one run; an error ends the comparison.
    fn run(&mut self, turn: &Turn) -> Result<Measured, String>;
}

/// One load: every run of every server in it.
#[derive(Debug, Serialize)]
pub(crate) struct CellResult {
    pub(crate) cell: Cell,
    pub(crate) offered: Option<f64>,
    /// Those who took part, by their places among the subjects.
    pub(crate) subjects: Vec<usize>,
    /// `rounds[round][at]`, with `at` a place in `subjects`.
    pub(crate) rounds: Vec<Vec<Measured>>,
}

impl CellResult {
    /// A metric of one who took part, by round; `None` where the run does not count.
    pub(crate) fn series(&self, subject: usize, metric: Metric) -> Vec<Option<f64>> {
        let Some(at) = self.subjects.iter().position(|one| *one == subject) else { return Vec::new() };
        self.rounds.iter().map(|round| metric.of(&round[at].figures)).collect()
    }

    /// Every run with its server's place and its round.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (usize, usize, &Measured)> {
        let rounds = self.rounds.iter().enumerate();
        rounds
            .flat_map(|(round, runs)| self.subjects.iter().zip(runs).map(move |(of, run)| (*of, round, run)))
    }
}

/// Runs the loads of one layout; `told` hears of each run when it is over.
pub(crate) fn run_layout(
    plan: &Plan,
    layout: Layout,
    subjects: &[Subject],
    runner: &mut dyn Runner,
    told: &mut dyn FnMut(&Turn, &Measured),
) -> Result<(Vec<CellResult>, Vec<String>), String> {
    let (mut results, mut notes): (Vec<CellResult>, _) = (Vec::new(), Vec::new());
    for cell in plan.cells.iter().filter(|cell| cell.layout == layout) {
        let offered = match cell.pace {
            Pace::Closed => None,
            Pace::OfKnee(percent) => {
                let Some(knee) = knee(&results, subjects, cell.mix) else {
                    let why = "no closed loop of the bridge counts";
                    notes.push(format!("left out: {} ({}): {why}", cell.words(), layout.name()));
                    continue;
                };
                Some((knee * f64::from(percent) / 100.0).max(1.0).round())
            }
        };
        let taking_part: Vec<usize> =
            (0..subjects.len()).filter(|at| subjects[*at].takes_part(cell)).collect();
        let mut once = |subject: usize, round: u32| {
            let turn = Turn { subject, cell: *cell, offered, round };
            let measured = runner.run(&turn).map_err(|error| {
                format!("{}, {}, round {}: {error}", subjects[subject].name, cell.words(), round + 1)
            })?;
            told(&turn, &measured);
            Ok(measured)
        };
        let rounds = all_rounds(plan.rounds, &taking_part, &mut once)?;
        results.push(CellResult { cell: *cell, offered, subjects: taking_part, rounds });
    }
    Ok((results, notes))
}

/// So many rounds, there and back, and a few more for those that were lost.
fn all_rounds(
    wanted: u32,
    taking_part: &[usize],
    once: &mut dyn FnMut(usize, u32) -> Result<Measured, String>,
) -> Result<Vec<Vec<Measured>>, String> {
    let mut rounds: Vec<Vec<Measured>> = Vec::new();
    for round in 0..wanted + EXTRA_ROUNDS {
        let lost = rounds.iter().filter(|runs| is_lost(runs)).count();
        if round as usize >= wanted as usize + lost {
            break;
        }
        let mut runs: Vec<Option<Measured>> = taking_part.iter().map(|_| None).collect();
        for at in order(round, taking_part.len()) {
            runs[at] = Some(once(taking_part[at], round)?);
        }
        rounds.push(runs.into_iter().flatten().collect());
    }
    Ok(rounds)
}

/// Whether a round counts for nothing though no server did wrong: the machine or the generator was to blame.
fn is_lost(runs: &[Measured]) -> bool {
    let is_void = runs.iter().any(|run| !run.figures.void_reasons.is_empty());
    is_void && runs.iter().all(|run| run.figures.errors == 0)
}

/// About where the bridge's knee is: its largest closed-loop throughput under this mix, as the median of its rounds.
fn knee(results: &[CellResult], subjects: &[Subject], mix: Mix) -> Option<f64> {
    let bridge = subjects.iter().position(|subject| subject.kind == Kind::Bridge)?;
    let closed = results.iter().filter(|result| result.cell.mix == mix && result.cell.pace == Pace::Closed);
    let medians = closed.filter_map(|result| {
        Some(Spread::of(result.series(bridge, Metric::Throughput).into_iter().flatten())?.median)
    });
    medians.reduce(f64::max)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;
    use crate::compare::plan::Choice;

    /// Native serves twice what the bridge serves, with half of the CPU; each run is noted.
    #[derive(Default)]
    pub(crate) struct Scripted {
        pub(crate) turns: Vec<Turn>,
        /// Void every run of this subject.
        pub(crate) void: Option<usize>,
        /// Void this run.
        pub(crate) void_at: Option<usize>,
        /// What the generator says of every run.
        pub(crate) note: Option<&'static str>,
        /// Let this run have wrong answers.
        pub(crate) wrong_at: Option<usize>,
    }

    impl Runner for Scripted {
        fn run(&mut self, turn: &Turn) -> Result<Measured, String> {
            self.turns.push(*turn);
            let factor = if turn.subject == 0 { 2.0 } else { 1.0 };
            let closed = factor * 1000.0 + f64::from(turn.cell.connections) + f64::from(turn.round);
            let mut figures = Figures {
                per_second: turn.offered.unwrap_or(closed),
                p50_us: Some(100.0 / factor),
                p99_us: Some(900.0 / factor),
                cpu_us: Some(50.0 / factor),
                switches: Some(0.5),
                ..Figures::default()
            };
            figures.notes.extend(self.note.map(str::to_owned));
            if self.void == Some(turn.subject) || self.void_at == Some(self.turns.len()) {
                figures.void_reasons.push("the generator was late".to_owned());
            }
            if self.wrong_at == Some(self.turns.len()) {
                figures.errors = 3;
                figures.first_error = Some("not the text".to_owned());
                figures.void_reasons.push("there were errors".to_owned());
            }
            Ok(Measured { figures, bystander_share: 0.001, remote_cpu_us: Some(12.0), result: None })
        }
    }

    pub(crate) fn quick() -> Plan {
        Plan::new(&Choice { quick: true, ..Choice::default() }, 2)
    }

    #[test]
    fn all_runs_are_interleaved_and_open_loops_offer_both_the_same() {
        let mut runner = Scripted::default();
        let mut told = 0;
        let subjects = Subject::always();
        let (results, notes) =
            run_layout(&quick(), Layout::Apart, &subjects, &mut runner, &mut |_, _| told += 1).unwrap();
        assert_eq!((results.len(), notes.len(), told), (6, 0, 84));
        let order: Vec<usize> = runner.turns[..8].iter().map(|turn| turn.subject).collect();
        assert_eq!(order, [0, 1, 1, 0, 0, 1, 1, 0]);
        // The bridge's best closed loop is the one of 256 connections: 1256 and the middle round, 3.
        assert_eq!(results[4].offered, Some((1259.0_f64 * 0.7).round()));
        let open = runner.turns.iter().filter(|turn| turn.cell.pace != Pace::Closed);
        let mut rates: Vec<f64> = open.filter_map(|turn| turn.offered).collect();
        rates.dedup();
        assert_eq!(rates.len(), 1);
        assert_eq!(results[0].series(1, Metric::Throughput)[..2], [Some(1016.0), Some(1017.0)]);
        assert_eq!(results[0].runs().count(), 14);
        assert!(results[0].series(9, Metric::P50).is_empty());
    }

    #[test]
    fn without_a_knee_the_open_loops_are_left_out_and_said() {
        let mut runner = Scripted { void: Some(1), ..Scripted::default() };
        let subjects = Subject::always();
        let (results, notes) =
            run_layout(&quick(), Layout::Apart, &subjects, &mut runner, &mut |_, _| ()).unwrap();
        assert_eq!((results.len(), notes.len()), (4, 2));
        assert!(
            notes[0].contains("queue-local") && notes[0].contains("no closed loop of the bridge"),
            "{notes:?}"
        );
    }

    #[test]
    fn a_round_that_is_lost_is_run_again_at_most_twice_and_wrong_answers_never() {
        let rounds = |mut runner: Scripted| {
            let subjects = Subject::always();
            let (results, _) =
                run_layout(&quick(), Layout::Apart, &subjects, &mut runner, &mut |_, _| ()).unwrap();
            results.iter().map(|result| result.rounds.len()).collect::<Vec<_>>()
        };
        assert_eq!(rounds(Scripted { void_at: Some(3), ..Scripted::default() })[..2], [8, 7]);
        assert_eq!(rounds(Scripted { void: Some(0), ..Scripted::default() })[..2], [9, 9]);
        assert_eq!(rounds(Scripted { wrong_at: Some(3), ..Scripted::default() })[..2], [7, 7]);
    }

    #[test]
    fn only_those_who_can_take_part() {
        let mut subjects = Subject::always();
        subjects.push(Subject::dialling());
        let mut runner = Scripted::default();
        let (results, _) =
            run_layout(&quick(), Layout::Apart, &subjects, &mut runner, &mut |_, _| ()).unwrap();
        assert_eq!((&results[0].subjects[..], &results[2].subjects[..]), (&[0, 1][..], &[0, 1, 2][..]));
    }

    #[test]
    fn an_error_names_the_server_and_the_load() {
        struct Broken;
        impl Runner for Broken {
            fn run(&mut self, _: &Turn) -> Result<Measured, String> {
                Err("it is gone".to_owned())
            }
        }
        let error = run_layout(&quick(), Layout::Apart, &Subject::always(), &mut Broken, &mut |_, _| ());
        assert_eq!(
            error.unwrap_err(),
            "native, queue-local, 16 connections, closed loop, round 1: it is gone"
        );
    }
}
