//! The comparison as Markdown: the verdicts first, then the figures they come from.

use std::fmt::Write;

use super::bench::{CellResult, EXTRA_ROUNDS};
use super::figures::Metric;
use super::plan::{Layout, Pace};
use super::verdict::{LEAST_ROUNDS, Paired, Verdict};
use super::{Comparison, MAX_IDLE_SHARE};
use crate::stats::Spread;

/// The whole comparison as Markdown.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = heading(&mut out, comparison);
    for layout in comparison.layouts() {
        let _ = writeln!(out, "\n## {}\n\n{}.", title(layout), capital(&comparison.cpus.words(layout)));
        for right in 1..comparison.subjects.len() {
            let _ = verdicts(&mut out, comparison, layout, right);
        }
        let _ = figures(&mut out, comparison, layout);
    }
    let _ = notes(&mut out, comparison);
    out
}

fn title(layout: Layout) -> &'static str {
    match layout {
        Layout::Apart => "A core each",
        Layout::Shared => "Shared cores",
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn heading(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let (machine, plan) = (&comparison.machine, &comparison.plan);
    let names: Vec<&str> = comparison.subjects.iter().map(|subject| subject.name.as_str()).collect();
    writeln!(out, "# {}\n", names.join(" against "))?;
    writeln!(out, "Machine: {}, {} cpus, Linux {}.", machine.cpu_model, machine.cpus, machine.kernel)?;
    writeln!(out, "Commit: {}. Journal mode `{}`.", machine.commit, comparison.journal_mode.name())?;
    writeln!(
        out,
        "{} rounds of {:.1} s after {:.1} s of warm-up, interleaved A B B A …, seed {}; the servers stay up. Before it, all \
         answers were checked to be equal.",
        plan.rounds,
        plan.duration.as_secs_f64(),
        plan.warmup.as_secs_f64(),
        comparison.seed
    )?;
    if plan.rounds < LEAST_ROUNDS {
        writeln!(
            out,
            "\n**Only {} rounds, by --rounds: at least {LEAST_ROUNDS} are a comparison.**",
            plan.rounds
        )?;
    }
    writeln!(out, "\nCommand:\n\n```sh\n{}\n```", machine.command)?;
    writeln!(
        out,
        "\nA verdict is about the first server next to the other: the median of the ratios of paired rounds, in brackets its \
         interval by the sign test (at least 95 %). Faster or slower is said where the interval leaves out 1 and the \
         median is at least 3 % away from it; among many verdicts a few are chance. Fewer than 6 pairs are void; a round that was \
         void with right answers is run again, at most {EXTRA_ROUNDS} for a load. A request \
         is one call: a queue cycle is one operation of three requests. A server's CPU is that of its own process, in user and \
         kernel mode."
    )
}

/// One row a load, one column a metric.
fn verdicts(out: &mut String, comparison: &Comparison, layout: Layout, right: usize) -> std::fmt::Result {
    let of_both = |result: &&CellResult| result.cell.layout == layout && result.subjects.contains(&right);
    let results: Vec<&CellResult> = comparison.results.iter().filter(of_both).collect();
    if results.is_empty() {
        return Ok(());
    }
    let [left, right_name] = [0, right].map(|at| comparison.subjects[at].name.as_str());
    writeln!(out, "\n### {left} against {right_name}{}\n", mark(layout))?;
    let names = Metric::JUDGED.map(Metric::name);
    writeln!(out, "| load | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))?;
    for result in results {
        let cells = Metric::JUDGED.map(|metric| verdict_cell(&comparison.paired(result, right, metric), 2));
        writeln!(out, "| {} | {} |", load(result), cells.join(" | "))?;
    }
    Ok(())
}

/// A verdict with its ratio and the interval of it.
pub(super) fn verdict_cell(paired: &Paired, digits: usize) -> String {
    let (Some(median), Some(low), Some(high)) = (paired.ratio_median, paired.ratio_low, paired.ratio_high)
    else {
        return format!("{}, no pairs", paired.verdict.words());
    };
    let words = match paired.verdict {
        Verdict::Faster | Verdict::Slower => format!("**{}**", paired.verdict.words()),
        _ => paired.verdict.words().to_owned(),
    };
    let fewer = match paired.pairs == paired.rounds {
        true => String::new(),
        false => format!(", {} of {} pairs", paired.pairs, paired.rounds),
    };
    format!("{words} {median:.digits$} ({low:.digits$}–{high:.digits$}){fewer}")
}

/// What marks every table of a layout that is not the usual one.
fn mark(layout: Layout) -> &'static str {
    match layout {
        Layout::Apart => "",
        Layout::Shared => " (shared cores)",
    }
}

fn load(result: &CellResult) -> String {
    match (result.cell.pace, result.offered) {
        (Pace::OfKnee(_), Some(offered)) => format!("{}: {offered:.0}/s offered", result.cell.words()),
        _ => result.cell.words(),
    }
}

/// Each server's medians with the smallest and the largest of its rounds that count.
fn figures(out: &mut String, comparison: &Comparison, layout: Layout) -> std::fmt::Result {
    writeln!(out, "\n### Figures{}: median (min–max)\n", mark(layout))?;
    let columns =
        [Metric::Throughput, Metric::P50, Metric::P99, Metric::Cpu, Metric::Switches, Metric::PerCpuSecond];
    let names = columns.map(Metric::name);
    writeln!(out, "| load | server | {} | remote node CPU µs/request | void |", names.join(" | "))?;
    writeln!(out, "|---|---|{}---|---|", "---|".repeat(names.len()))?;
    for result in comparison.results.iter().filter(|result| result.cell.layout == layout) {
        for (at, subject) in result.subjects.iter().enumerate() {
            let cells = columns.map(|metric| {
                let digits = match metric {
                    Metric::Cpu => 1,
                    Metric::Switches => 3,
                    _ => 0,
                };
                spread(result.series(*subject, metric).into_iter().flatten(), digits)
            });
            let runs = || result.rounds.iter().map(|round| &round[at]);
            let remote =
                runs().filter(|run| run.figures.void_reasons.is_empty()).filter_map(|run| run.remote_cpu_us);
            let void = runs().filter(|run| !run.figures.void_reasons.is_empty()).count();
            writeln!(
                out,
                "| {} | {} | {} | {} | {void} of {} |",
                load(result),
                comparison.subjects[*subject].name,
                cells.join(" | "),
                spread(remote, 0),
                result.rounds.len()
            )?;
        }
    }
    Ok(())
}

fn notes(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(out, "\n## Notes\n")?;
    let idle = comparison.results.iter().flat_map(CellResult::runs).map(|(_, _, run)| run.bystander_share);
    let most = idle.fold(0.0, f64::max);
    let judged =
        if most > MAX_IDLE_SHARE { "**more than a server that idles should**" } else { "as good as nothing" };
    writeln!(
        out,
        "- The servers that were up but not asked used at most {:.2} % of a core during a run: {judged}.",
        most * 100.0
    )?;
    comparison.notes.iter().try_for_each(|note| writeln!(out, "- {note}"))?;
    for (kind, (runs, first)) in comparison.void_reasons() {
        writeln!(out, "- Void: {runs} runs of {kind}; the first: {first}")?;
    }
    comparison.run_notes().iter().try_for_each(|note| writeln!(out, "- {note}"))?;
    comparison.wrong().iter().try_for_each(|wrong| writeln!(out, "- **WRONG ANSWERS**: {wrong}"))
}

/// `median (min–max)`, or a dash without figures.
pub(super) fn spread(values: impl Iterator<Item = f64>, digits: usize) -> String {
    match Spread::of(values) {
        Some(Spread { median, min, max }) => format!("{median:.digits$} ({min:.digits$}–{max:.digits$})"),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;
    use crate::compare::args::JournalMode;
    use crate::compare::bench::run_layout;
    use crate::compare::bench::tests::{Scripted, quick};
    use crate::compare::cpus::Cpus;
    use crate::compare::subject::Subject;
    use crate::machine::Machine;

    fn compared(mut runner: Scripted, layout: Layout) -> Comparison {
        let mut plan = quick();
        plan.cells.iter_mut().for_each(|cell| cell.layout = layout);
        let subjects = Subject::always();
        let (results, notes) = run_layout(&plan, layout, &subjects, &mut runner, &mut |_, _| ()).unwrap();
        Comparison {
            machine: Machine::here(),
            started: std::time::SystemTime::now(),
            journal_mode: JournalMode::None,
            seed: 1,
            plan,
            cpus: Cpus::new(&[0, 1], None, None).unwrap(),
            subjects,
            results,
            notes,
        }
    }

    #[test]
    fn verdicts_and_figures_stand_in_tables() {
        let text = markdown(&compared(Scripted::default(), Layout::Apart));
        let row = text
            .lines()
            .find(|line| line.starts_with("| queue-remote, 16 connections, closed loop |"))
            .unwrap();
        assert!(row.contains("**faster** 0.50 (0.50–0.50) | **faster** 0.50"), "{row}");
        assert!(
            text.contains("70 % of the bridge's knee: 881/s offered | no difference shown 1.00"),
            "{text}"
        );
        assert!(text.contains("| native | 2019 (2016–2022) | 50 (50–50) |"), "{text}");
        assert!(text.contains("used at most 0.10 % of a core during a run: as good as nothing"), "{text}");
        assert!(!text.contains("hared") && !text.contains("Only"), "{text}");
    }

    #[test]
    fn what_a_reader_must_know_of_runs_that_count_is_said() {
        let note = "the generator used its whole core: the server may be faster than this throughput says";
        let text = markdown(&compared(Scripted { note: Some(note), ..Scripted::default() }, Layout::Apart));
        assert!(text.contains(&format!("- In 42 runs of native that count: {note}\n")), "{text}");
        assert!(text.contains("- In 42 runs of bridge that count: the generator used"), "{text}");
        assert!(text.contains("a queue cycle is one operation of three requests"), "{text}");
    }

    #[test]
    fn shared_cores_are_marked_at_every_table() {
        let text = markdown(&compared(Scripted::default(), Layout::Shared));
        let headings: Vec<&str> =
            text.lines().filter(|line| line.starts_with("##") && *line != "## Notes").collect();
        assert_eq!(headings.len(), 3);
        assert!(headings.iter().all(|line| line.to_lowercase().contains("shared")), "{headings:?}");
    }

    #[test]
    fn void_runs_wrong_answers_and_too_few_rounds_are_said() {
        let void = markdown(&compared(Scripted { void: Some(1), ..Scripted::default() }, Layout::Apart));
        assert!(void.contains("| void, no pairs |") && void.contains("| 9 of 9 |"), "{void}");
        assert!(void.contains("Void: 36 runs of bridge: the generator was late"), "{void}");
        assert!(void.contains("left out: queue-remote"), "{void}");
        // The fourth run is native's second.
        let mut wrong = compared(Scripted { wrong_at: Some(4), ..Scripted::default() }, Layout::Apart);
        wrong.plan.rounds = 3;
        let text = markdown(&wrong);
        assert!(text.contains("6 of 7 pairs") && text.contains("**Only 3 rounds"), "{text}");
        let said = "native, queue-local, 16 connections, closed loop (apart), round 2: 3 errors, the first: not the text";
        assert_eq!(wrong.wrong(), [said]);
        assert!(text.contains(said), "{text}");
    }
}
