//! The comparison as a report: every run, and a verdict for each figure of each load.

use super::Comparison;
use super::bench::CellResult;
use super::figures::Metric;
use super::plan::Layout;
use crate::report::{self, Environment, Report};

/// The report of a comparison.
pub(super) fn report(comparison: &Comparison) -> Report {
    let names: Vec<&str> = comparison.subjects.iter().map(|subject| subject.name.as_str()).collect();
    let mut report =
        Report::new(&names.join(" against "), environment(comparison), comparison.seed, comparison.started);
    for result in &comparison.results {
        let first = report.runs.len();
        for (subject, round, run) in result.runs() {
            let Some(run) = &run.result else { continue };
            let round = u32::try_from(round).unwrap_or(u32::MAX);
            let layout = Some(result.cell.layout.name());
            report.add(&comparison.subjects[subject].name, layout, round, run);
        }
        if let Some(load) = report.runs.get(first).map(|run| run.load.clone()) {
            report.comparisons.extend(verdicts(comparison, result, &load));
        }
    }
    report
        .notes
        .extend(comparison.layouts().into_iter().map(|layout| format!("{}.", comparison.cpus.words(layout))));
    report.notes.extend(comparison.notes.iter().cloned());
    report.notes.extend(comparison.run_notes());
    report
}

/// The first server against each of the others.
fn verdicts(comparison: &Comparison, result: &CellResult, load: &report::Load) -> Vec<report::Comparison> {
    let name = |subject: usize| comparison.subjects[subject].name.clone();
    let others = result.subjects.iter().filter(|subject| **subject != 0);
    let judged = others.flat_map(|right| Metric::JUDGED.map(|metric| (*right, metric)));
    let verdict = |(right, metric): (usize, Metric)| {
        let paired = comparison.paired(result, right, metric);
        report::Comparison {
            load: load.clone(),
            metric: metric.name().to_owned(),
            left: name(0),
            right: name(right),
            left_median: paired.left_median,
            right_median: paired.right_median,
            ratio_median: paired.ratio_median,
            ratio_low: paired.ratio_low,
            ratio_high: paired.ratio_high,
            pairs: paired.pairs,
            rounds: paired.rounds,
            verdict: paired.verdict.name(),
        }
    };
    judged.map(verdict).collect()
}

fn environment(comparison: &Comparison) -> Environment {
    let cpus = &comparison.cpus;
    let list = super::subject::list;
    let both = |apart: String, shared: String| {
        let layouts = comparison.layouts().into_iter().map(|layout| match layout {
            Layout::Apart => format!("apart: {apart}"),
            Layout::Shared => format!("shared: {shared}"),
        });
        layouts.collect::<Vec<_>>().join("; ")
    };
    Environment {
        server_cpus: Some(both(list(&cpus.server_apart), list(&cpus.server_shared))),
        generator_cpus: Some(both(cpus.generator.to_string(), list(&cpus.server_shared))),
        shared_cores: Some(comparison.layouts().contains(&Layout::Shared)),
        journal_mode: Some(comparison.journal_mode.name().to_owned()),
        ..Environment::new(comparison.machine.clone())
    }
}
