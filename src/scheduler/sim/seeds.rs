//! Thousands of seeds, and four faulty schedulers that must not get through them.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::super::mutant::Mutant;
use super::world::World;

const SEEDS: u64 = 2_000;
/// A mutant must be caught within so many.
const MUTANT_SEEDS: u64 = 1_000;

#[derive(Debug, Default)]
struct Outcome {
    seeds: u64,
    faulty: u64,
    tasks: u64,
    runs: u64,
    /// Of seeds with faults.
    tasks_run_again: u64,
    /// Of seeds without: the sum of the largest shares, and of the mean ones.
    largest_share: f64,
    mean_share: f64,
}

impl Outcome {
    fn note(&mut self, world: &World) {
        self.seeds += 1;
        self.tasks += world.runs.len() as u64;
        self.runs += world.runs.values().map(|runs| u64::from(*runs)).sum::<u64>();
        if world.plan.is_faulty() {
            self.faulty += 1;
            self.tasks_run_again += world.runs.values().filter(|runs| **runs > 1).count() as u64;
            return;
        }
        let runs: u32 = world.runs_by_node.iter().sum();
        self.largest_share += f64::from(world.runs_by_node.iter().copied().max().unwrap_or(0));
        self.mean_share += f64::from(runs) / world.runs_by_node.len() as f64;
    }

    fn add(&mut self, other: &Outcome) {
        self.seeds += other.seeds;
        self.faulty += other.faulty;
        self.tasks += other.tasks;
        self.runs += other.runs;
        self.tasks_run_again += other.tasks_run_again;
        self.largest_share += other.largest_share;
        self.mean_share += other.mean_share;
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn run(seed: u64, mutant: Option<Mutant>) -> Result<World, String> {
    let run = || {
        let mut world = World::new(seed, mutant);
        world.run(World::is_done)?;
        world.check()?;
        Ok(world)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

/// Runs seeds until one fails.
fn run_seeds(seeds: Range<u64>, mutant: Option<Mutant>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    for seed in seeds {
        let world = run(seed, mutant)
            .map_err(|error| format!("seed {seed}: {error}; RINGMESH_WORKFLOW_SEED={seed} runs it alone"))?;
        outcome.note(&world);
    }
    Ok(outcome)
}

#[test]
fn nodes_agree_and_complete_every_task_after_the_heal() {
    if let Some(seed) = number("RINGMESH_WORKFLOW_SEED") {
        run(seed, None).map(|_| ()).unwrap();
        return;
    }
    let seeds = number("RINGMESH_WORKFLOW_SEEDS").unwrap_or(SEEDS);
    let halves = [0..seeds / 2, seeds / 2..seeds];
    let halves = halves.map(|seeds| thread::spawn(move || run_seeds(seeds, None)));
    let mut sum = Outcome::default();
    for half in halves {
        sum.add(&half.join().unwrap().unwrap_or_else(|error| panic!("{error}")));
    }
    let spread = sum.largest_share / sum.mean_share;
    println!("{sum:?}, load max/mean {spread:.2}");
    // Seeds that never ran a task again would prove nothing of take-over.
    assert!(sum.tasks > 4 * seeds && sum.tasks_run_again > seeds / 8);
}

fn is_caught(mutant: Mutant, parts: &[&str]) {
    let error = run_seeds(0..MUTANT_SEEDS, Some(mutant)).unwrap_err();
    println!("{mutant:?}: {error}");
    assert!(parts.iter().any(|part| error.contains(part)), "{error}");
}

#[test]
fn a_scheduler_without_a_fence_is_caught() {
    is_caught(
        Mutant::NoFence,
        &["which another holds", "disagree", "undone", "at the end", "without a fault"],
    );
}

#[test]
fn a_scheduler_without_take_over_is_caught() {
    is_caught(Mutant::NoTakeOver, &["at the end"]);
}

#[test]
fn a_draw_of_owners_that_each_decides_for_itself_is_caught() {
    is_caught(Mutant::OwnerDraw, &["disagree about the owner", "times without a fault", "wrong owner"]);
}

#[test]
fn a_draw_of_tokens_that_nobody_decides_is_caught() {
    is_caught(Mutant::TokenDraw, &["disagree"]);
}
