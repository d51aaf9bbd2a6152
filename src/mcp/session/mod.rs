//! Sessions of the revisions before 2026-07-28: bounded, sharded, usable from any core.

pub(crate) mod entry;
pub(crate) mod pending;
pub(crate) mod shard;
pub(crate) mod table;
