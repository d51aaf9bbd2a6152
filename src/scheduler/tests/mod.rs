//! What the scheduler promises, one promise a test.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod exchange;
mod help;
mod local;
mod recovery;
