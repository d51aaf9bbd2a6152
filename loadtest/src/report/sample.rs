//! A report of made-up runs, for tests and for looking at the page.

use std::time::{Duration, SystemTime};

use clap::Parser;

use super::{Comparison, Environment, Report};
use crate::machine::Machine;
use crate::mix::Script;
use crate::options::Cli;
use crate::pace::Random;
use crate::run::Job;
use crate::run_result::RunResult;
use crate::stats::Stats;

/// Two servers, one with a name that is no text of HTML, in a closed and an open loop; one run of them is void.
pub(crate) fn report() -> Report {
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_428_000_123);
    let mut report = Report::new("Native & <bridged>", Environment::new(Machine::here()), 7, started);
    report.notes.push("These figures are made up.".to_owned());
    for (round, factor) in [(0, 1.0), (1, 1.1), (2, 0.95)] {
        for flags in [&["--connections", "16"][..], &["--rate", "500", "--connections", "64"]] {
            for (subject, slowness) in [("native", 1.0), ("<script>alert(1)</script>", 2.5)] {
                let mut result = result(flags, slowness * factor, 42 + u64::from(round));
                if round == 1 && subject == "native" && flags.len() > 2 {
                    result.void_reasons.push("the generator was late: by 5 ms".to_owned());
                }
                if round == 2 && subject == "native" {
                    result.notes.push("the generator used its whole core".to_owned());
                }
                report.add(subject, Some("apart"), round, &result);
            }
        }
    }
    let load = report.runs[0].load.clone();
    for (metric, ratio, verdict) in [("operations/s", 2.4, "faster"), ("p99 ms", 1.01, "no_difference_shown")]
    {
        report.comparisons.push(Comparison {
            load: load.clone(),
            metric: metric.to_owned(),
            left: "native".to_owned(),
            right: "<script>alert(1)</script>".to_owned(),
            left_median: Some(2400.0 * ratio),
            right_median: Some(2400.0),
            ratio_median: Some(ratio),
            ratio_low: Some(ratio - 0.2),
            ratio_high: Some(ratio + 0.3),
            pairs: 3,
            rounds: 3,
            verdict,
        });
    }
    report
}

fn result(flags: &[&str], slowness: f64, seed: u64) -> RunResult {
    let cli = Cli::try_parse_from(["x"].iter().chain(flags)).expect("invariant: the flags are right");
    let job = Job::from_args(&cli.load).expect("invariant: the job is right");
    let script: Script = job.script().expect("invariant: the mix is built in");
    let measured = Duration::from_secs(5);
    let (mut stats, mut random) = (Stats::of(1, measured), Random::new(seed));
    for number in 0..20_000_u32 {
        // A bulk and a tail that is ten times as slow.
        let tail = if random.fraction() > 0.98 { 10.0 } else { 1.0 };
        let latency = Duration::from_secs_f64(slowness * tail * (0.000_2 + 0.000_3 * random.fraction()));
        stats.record(latency);
        stats.record_lag(Duration::from_micros(40));
        stats.series.record(measured.mul_f64(f64::from(number) / 20_000.0), latency.as_nanos() as u64);
        (stats.answers, stats.completed, stats.offered) =
            (stats.answers + 1, stats.completed + 1, stats.offered + 1);
    }
    RunResult::new(&job, &script, &stats, measured, None, None)
}
