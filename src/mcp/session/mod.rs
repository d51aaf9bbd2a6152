//! Sessions of the revisions before 2026-07-28: bounded, sharded, usable from any core.

pub(crate) mod channel;
pub(crate) mod entry;
pub(crate) mod event_id;
pub(crate) mod kept;
pub(crate) mod log;
#[cfg(test)]
mod model;
pub(crate) mod pending;
pub(crate) mod reader;
pub(crate) mod replay;
pub(crate) mod shard;
pub(crate) mod streams;
pub(crate) mod table;
pub(crate) mod writer;
