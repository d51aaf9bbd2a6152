//! Telling clients what has changed: who listens, and for what.

pub(crate) mod channel_reading;
pub(crate) mod feed;
pub(crate) mod filter;
pub(crate) mod hub;
pub(crate) mod inbox;
pub(crate) mod notice;
pub(crate) mod places;
