//! `/mcp+p2p/1.0.0`: one stream of a peer, from its first frame to its end.
//!
//! The main path: [`serve_mcp_stream`] → `stream` (bytes in, bytes out) → `requests` (from a frame to its answer) →
//! [`PeerSession`](crate::mcp::peer::PeerSession) (what a message means) → `flight` (a call that takes time) → `outlet`
//! (back to the stream).

mod ahead;
mod flight;
mod host;
mod outlet;
mod requests;
mod stream;
#[cfg(test)]
mod tests;
mod waits;

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite, FutureExt};

#[allow(unused_imports, reason = "the node names them where it is wired in")]
pub(crate) use host::{McpHost, PeerGate, TaskQueueRpc};
use requests::Requests;
use stream::{End, Stream};

use crate::limits::Limit;
use crate::p2p::Remote;
use crate::runtime::Deadline;
use crate::server::roster::Phase;

/// After the end this much of what the peer still sends is read and thrown away: a reset for unread bytes would destroy
/// the last answer on its way.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Serves one stream to its end. It must be polled by a task of the core, and dropping it cancels what is in progress.
///
/// It closes the stream in order; where the peer is gone, does not read or does not finish what it began, `io` is dropped
/// without that, which resets it.
pub(crate) async fn serve_mcp_stream<Io>(
    host: Rc<McpHost>,
    io: Io,
    remote: Rc<Remote>,
    gate: Rc<dyn PeerGate>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let serving = async {
        let mut stream = Stream::new(io, Requests::new(host.clone(), remote, gate));
        match poll_fn(|cx| stream.poll(cx)).await {
            End::Close => close(&mut stream).await,
            End::Reset => {}
        }
    };
    if AssertUnwindSafe(serving).catch_unwind().await.is_err() {
        host.note_panic();
    }
}

/// Says that nothing follows, and reads off what the peer still sends.
async fn close<Io: AsyncRead + AsyncWrite + Unpin>(stream: &mut Stream<Io>) {
    let deadline = Deadline::new();
    deadline.set_after(stream.core().shared.limits.duration(Limit::WriteTime));
    let is_closed = poll_fn(|cx| match Pin::new(&mut stream.io).poll_close(cx) {
        Poll::Ready(closed) => Poll::Ready(closed.is_ok()),
        Poll::Pending => deadline.poll_expired(cx).map(|()| false),
    });
    if !is_closed.await {
        return;
    }
    deadline.set_after(LINGER_TIME);
    let mut rest = LINGER_BYTES;
    poll_fn(|cx| {
        stream.member.watch(cx);
        let mut buffer = [0; 1 << 10];
        while rest > 0 && stream.member.phase() != Phase::Cancelling {
            match Pin::new(&mut stream.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => rest = rest.saturating_sub(bytes),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return deadline.poll_expired(cx),
            }
        }
        Poll::Ready(())
    })
    .await;
}
