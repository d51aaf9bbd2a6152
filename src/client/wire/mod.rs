//! The protocol on its way: requests, streams, sessions and subscriptions over one transport.
//!
//! Everything runs in the task of whoever asks, or, for what nobody awaits, in a task of the caller's scope.

mod abandon;
mod ask;
mod crowd;
mod follow;
mod gate;
mod known;
mod link;
mod listen;
mod listen_modern;
mod listen_old;
mod queue;
mod serve;
mod session;
mod standing;

pub(crate) use gate::Gate;
pub(crate) use known::KnownTool;
pub(crate) use link::{Ask, Link, NOTICE_TIME};
pub use listen::{ListenFilter, Subscription};
pub(crate) use session::HTTP_SSE_ALONE;
