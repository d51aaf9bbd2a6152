//! Asking peers who they are and how far away, on the connection that is there.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::{AsyncWriteExt as _, FutureExt as _};

use super::connection::Connection;
use super::time::within;
use super::{DialError, Node};
use crate::limits::Limit;
use crate::p2p::identify::{self, Info};
use crate::p2p::outbound::DialTarget;
use crate::p2p::{IDENTIFY_PROTOCOL, PING_PROTOCOL, ping};

impl Node {
    /// Asks the peer of a connection who it is, in a task of its own; no answer is as good as one.
    pub(super) fn ask_who(self: &Rc<Self>, connection: &Rc<Connection>) {
        let (node, connection) = (self.clone(), connection.clone());
        let task = async move {
            let time = node.shared.limits().duration(Limit::P2pRequestTime);
            let asked = async {
                let (mut stream, _) = connection.handle.open(&[IDENTIFY_PROTOCOL]).await.ok()?;
                // This side writes nothing, so the proposal waits to be flushed.
                stream.flush().await.ok()?;
                identify::ask(stream).await.ok()
            };
            // A silent peer does not hold up the end of its connection.
            let ended = async {
                connection.ending().await;
                None
            };
            match ended.or(within(time, asked)).await.flatten() {
                Some(info) => node.identified(&connection, &info),
                None => tracing::debug!(peer = %connection.remote.principal, "did not say who it is"),
            }
        };
        // A scope that is closing takes no new task.
        let _ = self.scope.spawn("p2p identify", task);
    }

    /// Takes over what a peer says of itself, unless it says so with somebody else's key.
    pub(super) fn identified(&self, connection: &Connection, info: &Info) {
        let peer_id = &connection.remote.peer_id;
        match info.check_key(peer_id) {
            Ok(()) => self.shared.peers().identified(peer_id, info),
            Err(error) => tracing::debug!(peer = %connection.remote.principal, "{error}"),
        }
    }

    /// Pings a peer and remembers the round trip. The peer is dialled where it has no connection.
    ///
    /// # Errors
    /// It was not reached. `Ok(None)` is a peer that is there and does not answer pings, or not in time.
    pub async fn ping(self: &Rc<Self>, target: &DialTarget) -> Result<Option<Duration>, DialError> {
        let (mut stream, ..) = self.open_to(target, &[PING_PROTOCOL]).await?;
        let epoch = Instant::now();
        let time = self.shared.limits().duration(Limit::P2pRequestTime);
        let Some(Ok(round_trip)) = within(time, ping::ask(&mut stream, || epoch.elapsed())).await else {
            return Ok(None);
        };
        self.shared.peers().round_trip(&target.address().peer_id, round_trip);
        // The peer sees the end of the stream rather than a reset.
        let _ = within(time, stream.close()).await;
        Ok(Some(round_trip))
    }
}
