//! The comparison as Markdown tables.

use std::fmt::Write;

use super::{Comparison, LoadResult};
use crate::compare::table::{spread, verdict_cell};
use crate::compare::verdict::{Better, Paired};
use crate::run::DEFAULT_MESSAGE_BYTES;
use crate::run_result::RunResult;

/// The whole comparison as Markdown.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = heading(&mut out, comparison);
    for load in &comparison.loads {
        let _ = figures(&mut out, comparison, load);
        let _ = ratios(&mut out, comparison, load);
    }
    let _ = idle(&mut out, comparison);
    out
}

fn heading(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let machine = &comparison.machine;
    writeln!(out, "Machine: {}, {} cpus, Linux {}.", machine.cpu_model, machine.cpus, machine.kernel)?;
    writeln!(
        out,
        "Commit: {}. Server on cpu {} with all its threads.",
        machine.commit, comparison.server_cpu
    )?;
    let shape = &comparison.shape;
    let cpus = shape.cpu.iter().flat_map(|list| &list.0).map(usize::to_string).collect::<Vec<_>>().join(",");
    writeln!(
        out,
        "Generator on cpu {cpus}; MCP {} where the name says no other, tool `{}`, {} B message; {:.1} s measured after \
         {:.1} s of warm-up.",
        shape.era.version(),
        shape.tool,
        shape.message_bytes.unwrap_or(DEFAULT_MESSAGE_BYTES),
        shape.duration_s.as_secs_f64(),
        shape.warmup_s.as_secs_f64()
    )?;
    writeln!(out, "\nCommand:\n\n```sh\n{}\n```", machine.command)?;
    match comparison.void_runs() {
        0 => Ok(()),
        runs => {
            writeln!(out, "\n**{runs} runs were void and are left out of the figures; see compare.json.**")
        }
    }
}

/// Each server's medians with the smallest and largest of all rounds.
fn figures(out: &mut String, comparison: &Comparison, load: &LoadResult) -> std::fmt::Result {
    let (connections, pipeline) = (load.load.connections, load.load.pipeline);
    let runs = load.rounds.len();
    writeln!(
        out,
        "\n### {connections} connections, {pipeline} in flight on each (median of {runs}, min–max)\n"
    )?;
    writeln!(
        out,
        "| server | requests/s | server CPU µs/request | p50 µs | p99 µs | voluntary switches/request | answer B \
         | server's core | generator's core |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for (at, subject) in comparison.subjects.iter().enumerate() {
        let cell = |digits: usize, figure: fn(&RunResult) -> Option<f64>| {
            let runs = load.rounds.iter().map(|round| &round[at]).filter(|report| !report.void);
            spread(runs.filter_map(figure), digits)
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} % | {} % |",
            subject.name,
            cell(0, |report| Some(report.requests_per_second)),
            cell(2, cpu),
            cell(0, |report| report.latency_us.p50),
            cell(0, |report| report.latency_us.p99),
            cell(4, |report| Some(report.server.as_ref()?.voluntary_switches_per_request)),
            load.rounds.first().map_or(0, |round| round[at].answer_bytes),
            cell(0, |report| Some(report.server.as_ref()?.cpu_share * 100.0)),
            cell(0, |report| Some(report.generator.busiest_share * 100.0)),
        )?;
    }
    Ok(())
}

/// The first server against each of the others, round by round.
fn ratios(out: &mut String, comparison: &Comparison, load: &LoadResult) -> std::fmt::Result {
    let Some(first) = comparison.subjects.first() else { return Ok(()) };
    for (at, other) in comparison.subjects.iter().enumerate().skip(1) {
        let of = |at: usize, figure: fn(&RunResult) -> Option<f64>| {
            let runs = load.rounds.iter().map(|round| &round[at]);
            runs.map(|run| figure(run).filter(|_| !run.void)).collect::<Vec<_>>()
        };
        let judged = |better: Better, figure: fn(&RunResult) -> Option<f64>| {
            verdict_cell(&Paired::new(&of(0, figure), &of(at, figure), better), 3)
        };
        writeln!(
            out,
            "\n{} / {}, run by run: throughput {}; server CPU {}; p50 {}; p99 {}.",
            first.name,
            other.name,
            judged(Better::More, |run| Some(run.requests_per_second)),
            judged(Better::Less, cpu),
            judged(Better::Less, |run| run.latency_us.p50),
            judged(Better::Less, |run| run.latency_us.p99)
        )?;
    }
    Ok(())
}

fn idle(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    if comparison.idle.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### Start and idle (not pinned)\n")?;
    writeln!(
        out,
        "| server | command | first right answer ms | RSS MiB | CPU % of a core | switches/s | threads |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for result in &comparison.idle {
        writeln!(
            out,
            "| {} | `{}` | {} | {:.2} | {:.3} | {:.1} | {} |",
            result.name,
            result.command,
            spread(result.first_answer_ms.iter().copied(), 1),
            result.idle.rss_bytes as f64 / f64::from(1 << 20),
            result.idle.cpu_share * 100.0,
            result.idle.voluntary_switches_per_second,
            result.idle.threads
        )?;
    }
    Ok(())
}

fn cpu(report: &RunResult) -> Option<f64> {
    report.server.as_ref().map(|server| server.cpu_us_per_request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_written_with_their_digits() {
        assert_eq!(spread([1.0, 3.0, 2.0].into_iter(), 1), "2.0 (1.0–3.0)");
        assert_eq!(spread(std::iter::empty(), 1), "-");
    }
}
