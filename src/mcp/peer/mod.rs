//! MCP with a peer: one stream of messages in both directions, without sockets and without a clock.
//!
//! [`PeerSession`] takes one message after the other and says what becomes of it. The first messages tell how the peer
//! speaks:
//!
//! - it opens with `initialize` of 2024-11-05, or of no version: an **old peer** (`old`), which is served one request at a
//!   time, in order, and never hears anything that it did not ask for;
//! - it opens with `initialize` of any other version: the stream is the session, and ends it;
//! - it sends `_meta` with each request (2026-07-28): each request stands for itself, many at a time.
//!
//! The last two may share a stream: a client that probes with `server/discover` and then falls back to `initialize` does.

mod answers;
pub(crate) mod fuzz;
mod look;
mod old;
mod options;
mod rpc;
mod session;
mod stream_session;

pub(crate) use answers::AnswerForm;
pub(crate) use look::Look;
pub(crate) use options::{Gate, PeerOptions, With};
pub(crate) use rpc::RpcCall;
pub(crate) use session::{PeerSession, Taken};
