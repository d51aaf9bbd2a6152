//! A connection secured by Noise and multiplexed by Yamux, over any pair of byte streams; no sockets and no clock.
//!
//! [`upgrade`] agrees on Noise, checks who is there, agrees on Yamux, and gives two things: a [`Driver`], which one task
//! runs to the end of the connection, and a [`Handle`], with which anybody on the core opens streams. From the wire up:
//!
//! ```text
//! Io ─ OneThread ─ multistream-select ─ Noise ─ multistream-select ─ Cork ─ yamux::Connection ─ PeerStream
//! ```
//!
//! Yamux flushes each frame by itself; the cork gathers those of one turn of the driver into one message and one send.

mod cork;
mod driver;
mod error;
mod frames;
mod handle;
mod multistream;
mod one_thread;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod unread;
mod upgrade;

pub use driver::Driver;
pub use error::{ConnectionError, HandshakeError, NegotiateError, OpenError};
pub use handle::Handle;
pub use stream::{InboundStream, PeerStream};
pub use upgrade::{NoiseKey, Role, StackOptions, upgrade, upgrade_with};
