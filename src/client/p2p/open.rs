//! Where the streams come from.

use futures_lite::{AsyncRead, AsyncWrite};

use crate::client::transport::{LocalBoxFuture, TransportError};

/// One stream whose protocol is `/mcp+p2p/1.0.0`. Dropping it resets it, unless it was closed.
pub trait MessageStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> MessageStream for S {}

/// Opens streams to one peer.
///
/// Whoever implements it answers for the peer: a stream may only be handed out once the peer at its other end has
/// proved to be the one that the user named. What is secret is written as soon as there is a stream.
pub trait OpenStreams {
    /// Opens a stream, over a connection that stands or a new one.
    fn open<'a>(&'a self) -> LocalBoxFuture<'a, Result<Box<dyn MessageStream>, TransportError>>;

    /// What the user named, for messages.
    fn target(&self) -> &str;

    /// Ends the connections, so that nothing stays open.
    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()>;
}
