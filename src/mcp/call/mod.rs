//! A handler in flight: its context, its events, its answer.

pub(crate) mod batch;
pub(crate) mod call_time;
pub(crate) mod context;
pub(crate) mod outcome;
pub(crate) mod results;
pub(crate) mod running;
pub(crate) mod signals;
