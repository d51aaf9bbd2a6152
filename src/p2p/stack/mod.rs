//! A connection secured by Noise and multiplexed by Yamux, over any pair of byte streams; no sockets and no clock.

mod cork;
mod driver;
mod error;
mod handle;
mod one_thread;
mod stream;
#[cfg(test)]
mod tests;
mod upgrade;

pub use driver::Driver;
pub use error::{ConnectionError, HandshakeError, NegotiateError, OpenError};
pub use handle::Handle;
pub use stream::{InboundStream, PeerStream};
pub use upgrade::{Role, StackOptions, upgrade};
