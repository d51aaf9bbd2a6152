//! A disk that crashes, and the tests that crash it. `RINGMESH_JOURNAL_SEED=n` runs one seed, `RINGMESH_JOURNAL_SEEDS=n`
//! that many.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod crashes;
mod damage;
mod disk;
mod failures;
mod random;
mod tasks;
mod world;
