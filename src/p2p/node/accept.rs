//! Accepted connections: the limits before the handshake, the handshake, and who is let in after it.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use futures_lite::FutureExt as _;

use super::connection::{Connection, Member};
use super::time::within;
use super::{Life, Node};
use crate::limits::{Limit, Place};
use crate::observe::metrics::HandshakeFailure;
use crate::p2p::stack::{Driver, HandshakeError, Role, upgrade_with};
use crate::p2p::{Remote, Via};
use crate::runtime::AsyncStream;

/// What a connection that was let in has until its handshake ends.
struct Admission {
    total: Place,
    _handshake: Handshake,
}

/// One handshake in progress, or a connection that may turn out to begin one.
pub(crate) struct Handshake(Rc<Node>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get() - 1);
    }
}

impl Node {
    /// Takes a connection in that was accepted on this core, with whatever was read of it already. One that a limit
    /// refuses is reset at once, which costs nobody a task.
    pub fn accept(self: &Rc<Self>, stream: AsyncStream, via: Via) {
        if self.life.get() != Life::Serving {
            return;
        }
        let admission = match self.admit() {
            Ok(admission) => admission,
            Err(limit) => {
                self.metrics().hit(limit);
                self.metrics().p2p().handshake_failed(HandshakeFailure::Limit);
                return stream.abort();
            }
        };
        let node = self.clone();
        // A scope that is closing takes no new task; the connection is dropped with it.
        let _ = self.scope.spawn("p2p connection", async move {
            let established = AssertUnwindSafe(node.establish(stream, via, admission)).catch_unwind().await;
            match established {
                Ok(Some((member, driver))) => member.run(driver).await,
                Ok(None) => {}
                Err(_) => {
                    node.metrics().panicked();
                    tracing::error!(core = node.core, "a libp2p handshake ended in a panic");
                }
            }
        });
    }

    /// Asks the limits that need no word of the peer, the cheapest first.
    fn admit(self: &Rc<Self>) -> Result<Admission, Limit> {
        if !self.shared.peers().admit_accept(Instant::now()) {
            return Err(Limit::P2pAcceptRate);
        }
        let total = self.shared.connections.try_enter().ok_or(Limit::P2pConnections)?;
        let handshake = self.try_handshake().ok_or(Limit::P2pHandshakes)?;
        Ok(Admission { total, _handshake: handshake })
    }

    /// A place among the handshakes of this core. Where libp2p shares a port, a connection that nobody else has room for
    /// holds one until its first byte tells what it is.
    pub(crate) fn try_handshake(self: &Rc<Self>) -> Option<Handshake> {
        let now = self.handshakes.get();
        (now < self.shared.limits().max_p2p_handshakes).then(|| {
            self.handshakes.set(now + 1);
            Handshake(self.clone())
        })
    }

    async fn establish(
        self: &Rc<Self>,
        stream: AsyncStream,
        via: Via,
        admission: Admission,
    ) -> Option<(Member, Driver<AsyncStream>)> {
        let address = stream.peer_addr();
        let stack = self.shared.stack();
        // On the heap, so that an idle connection does not keep the room of its handshake.
        let handshake =
            Box::pin(async { upgrade_with(stream, Role::Listener, self.shared.noise_key()?, &stack).await });
        let time = self.shared.limits().duration(Limit::P2pHandshakeTime);
        let (handle, driver, peer_id) = match within(time, handshake).await {
            Some(Ok(connected)) => connected,
            Some(Err(error)) => {
                self.not_established(kind(&error), &error.to_string());
                return None;
            }
            None => {
                self.metrics().hit(Limit::P2pHandshakeTime);
                self.not_established(HandshakeFailure::Timeout, "the handshake took too long");
                return None;
            }
        };
        if !self.shared.lists.lets_in(&peer_id) {
            self.not_established(HandshakeFailure::Denied, &format!("{peer_id} is not let in"));
            return None;
        }
        let place = match self.shared.peers().connected(&peer_id, address, via, Instant::now()) {
            Ok(place) => place,
            Err(limit) => {
                self.metrics().hit(limit);
                self.not_established(HandshakeFailure::Limit, &format!("{peer_id} has too many connections"));
                return None;
            }
        };
        let remote = Remote { peer_id, principal: peer_id.to_base58().into(), address, via };
        tracing::debug!(peer = %remote.principal, %address, "accepted");
        let connection = Connection::new(self, handle, remote, place, admission.total);
        Some((Member::new(self, connection), driver))
    }

    fn not_established(&self, why: HandshakeFailure, message: &str) {
        self.metrics().p2p().handshake_failed(why);
        tracing::debug!(core = self.core, "a libp2p connection was not established: {message}");
    }
}

fn kind(error: &HandshakeError) -> HandshakeFailure {
    match error {
        HandshakeError::Io(_) => HandshakeFailure::Ended,
        HandshakeError::Multistream(_) | HandshakeError::Refused(_) => HandshakeFailure::Protocol,
        HandshakeError::Noise(_) | HandshakeError::WrongPeer { .. } => HandshakeFailure::Noise,
    }
}
