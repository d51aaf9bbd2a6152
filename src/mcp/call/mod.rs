//! A handler in flight: its context, its events, its answer.

pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod outcome;
pub(crate) mod running;
pub(crate) mod signals;
