//! A connection's place among those of its peer.

use std::sync::Arc;
use std::time::Instant;

use super::super::PeerId;
use super::shard::PeerState;
use super::table::PeerTable;
use crate::limits::Limit;

/// One connection of a peer, counted until this is dropped. It may move between threads.
#[derive(Debug)]
pub struct ConnectionPlace {
    table: Arc<PeerTable>,
    state: Arc<PeerState>,
    peer_id: PeerId,
}

impl ConnectionPlace {
    pub(super) fn new(table: Arc<PeerTable>, state: Arc<PeerState>, peer_id: PeerId) -> Self {
        Self { table, state, peer_id }
    }

    /// The peer.
    pub fn peer_id(&self) -> &PeerId {
        &self.peer_id
    }

    /// Notes that the peer was heard.
    pub fn heard(&self, now: Instant) {
        self.state.heard(self.table.since_epoch(now));
    }

    /// Asks for one more request of the peer, which counts as being heard too. `now` is precise, not a coarse clock's.
    ///
    /// # Errors
    /// The limit that refuses it: that of the peer, or that of all peers together.
    pub fn admit(&self, now: Instant) -> Result<(), Limit> {
        let now = self.table.since_epoch(now);
        self.state.heard(now);
        if !self.state.requests.admit(now) {
            return Err(Limit::P2pRequestRate);
        }
        if !self.table.admit_of_all(now) {
            return Err(Limit::P2pTotalRate);
        }
        Ok(())
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.table.disconnected(&self.peer_id);
    }
}
