//! Placeholder.
pub mod preflight;
pub mod topology;
