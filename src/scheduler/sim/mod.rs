//! Several nodes on a wire and a clock of their own. `RINGMESH_WORKFLOW_SEED=n` runs one seed, `RINGMESH_WORKFLOW_SEEDS=n`
//! that many.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod check;
mod node;
mod plan;
mod random;
mod seeds;
mod world;
