//! More than ten thousand crashes, two or three a seed, and two logs that do it wrong.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::super::settings::{Mode, Rule};
use super::world::{Outcome, World};

const SEEDS: u64 = 5_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn run(seed: u64, rule: Rule) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, rule).run()))
        .unwrap_or_else(|_| Err("it panicked".to_owned()))
}

/// Runs seeds until one fails.
fn run_seeds(seeds: Range<u64>, rule: Rule) -> Result<Outcome, String> {
    let mut sum = Outcome::default();
    for seed in seeds {
        let outcome = run(seed, rule)
            .map_err(|error| format!("seed {seed}: {error}; RINGMESH_JOURNAL_SEED={seed} runs it alone"))?;
        sum.acknowledged += outcome.acknowledged;
        sum.cut_bytes += outcome.cut_bytes;
        sum.snapshots += outcome.snapshots;
        sum.segments += outcome.segments;
        sum.crashes += outcome.crashes;
    }
    Ok(sum)
}

#[test]
fn ten_thousand_crashes_lose_nothing_acknowledged_and_alter_nothing() {
    let rule = Mode::Always.rule();
    if let Some(seed) = number("RINGMESH_JOURNAL_SEED") {
        run(seed, rule).unwrap();
        return;
    }
    let seeds = number("RINGMESH_JOURNAL_SEEDS").unwrap_or(SEEDS);
    let halves = [0..seeds / 2, seeds / 2..seeds];
    let halves = halves.map(|seeds| thread::spawn(move || run_seeds(seeds, rule)));
    let outcomes = halves.map(|half| half.join().unwrap().unwrap_or_else(|error| panic!("{error}")));
    for outcome in outcomes {
        println!("{outcome:?}");
        // A test that never tears, rolls or snapshots would prove nothing.
        assert!(outcome.acknowledged > 10 * seeds && outcome.crashes >= seeds);
        assert!(outcome.cut_bytes > 0 && outcome.snapshots > seeds / 10 && outcome.segments > seeds);
    }
}

#[test]
fn a_log_without_fdatasync_is_caught() {
    let rule = Rule { sync_each: false, acknowledge_after_sync: false, sync_every: None };
    let error = run_seeds(0..200, rule).unwrap_err();
    assert!(error.contains("was acknowledged at"), "{error}");
}

#[test]
fn a_log_that_acknowledges_before_fdatasync_is_caught() {
    let rule = Rule { sync_each: true, acknowledge_after_sync: false, sync_every: None };
    let error = run_seeds(0..200, rule).unwrap_err();
    assert!(error.contains("was acknowledged at"), "{error}");
}
