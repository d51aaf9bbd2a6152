//! Telling clients what has changed: who listens, and for what.

pub(crate) mod hub;
