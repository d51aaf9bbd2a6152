//! A part of the peers, whole in itself: who is known, and who is forgotten first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::PeerId;
use super::details::Details;
use super::rate::Rate;

/// What the connections of one peer share, on whatever core they are.
#[derive(Debug)]
pub(super) struct PeerState {
    /// Nanoseconds from the epoch to the last time it was heard.
    heard: AtomicU64,
    pub(super) requests: Rate,
}

impl PeerState {
    pub(super) fn heard(&self, now: Duration) {
        self.heard.fetch_max(nanos(now), Ordering::Relaxed);
    }

    pub(super) fn last_heard(&self) -> Duration {
        Duration::from_nanos(self.heard.load(Ordering::Relaxed))
    }
}

fn nanos(now: Duration) -> u64 {
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) state: Arc<PeerState>,
    pub(super) connections: usize,
    pub(super) details: Details,
}

/// Peers by id. Those without a connection are in `idle` too, the one unheard for longest first; only they are
/// forgotten, so more than `capacity` are held only while that many are connected.
#[derive(Debug)]
pub(super) struct Shard {
    peers: HashMap<PeerId, Peer>,
    idle: BTreeSet<(Duration, PeerId)>,
    capacity: usize,
}

impl Shard {
    pub(super) fn new(capacity: usize) -> Shard {
        Shard { peers: HashMap::new(), idle: BTreeSet::new(), capacity }
    }

    pub(super) fn peers(&self) -> &HashMap<PeerId, Peer> {
        &self.peers
    }

    pub(super) fn peer_mut(&mut self, peer_id: &PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(peer_id)
    }

    /// Peers that have a connection.
    pub(super) fn connected(&self) -> usize {
        self.peers.len() - self.idle.len()
    }

    /// A peer was heard of. False where there is no room to remember it.
    pub(super) fn saw(&mut self, peer_id: &PeerId, now: Duration, rate: impl FnOnce() -> Rate) -> bool {
        if let Some(peer) = self.peers.get(peer_id) {
            let before = peer.state.last_heard();
            peer.state.heard(now);
            if peer.connections == 0 {
                self.idle.remove(&(before, *peer_id));
                self.idle.insert((peer.state.last_heard(), *peer_id));
            }
            return true;
        }
        if self.peers.len() >= self.capacity && self.idle.is_empty() {
            return false;
        }
        self.make_room(self.capacity - 1);
        self.peers.insert(*peer_id, new_peer(now, rate()));
        self.idle.insert((self.peers[peer_id].state.last_heard(), *peer_id));
        true
    }

    /// One more connection of a peer, or `None` where it has `most` already. A connected peer is always remembered.
    pub(super) fn connect(
        &mut self,
        peer_id: &PeerId,
        now: Duration,
        most: usize,
        rate: impl FnOnce() -> Rate,
    ) -> Option<&mut Peer> {
        if !self.peers.contains_key(peer_id) {
            self.make_room(self.capacity - 1);
        }
        let peer = self.peers.entry(*peer_id).or_insert_with(|| new_peer(now, rate()));
        if peer.connections >= most {
            return None;
        }
        self.idle.remove(&(peer.state.last_heard(), *peer_id));
        peer.connections += 1;
        peer.state.heard(now);
        Some(peer)
    }

    /// One connection less.
    pub(super) fn disconnect(&mut self, peer_id: &PeerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        peer.connections = peer.connections.saturating_sub(1);
        if peer.connections == 0 {
            self.idle.insert((peer.state.last_heard(), *peer_id));
            self.make_room(self.capacity);
        }
    }

    /// Forgets peers without a connection until at most `len` are left, or none can be forgotten.
    fn make_room(&mut self, len: usize) {
        while self.peers.len() > len {
            let Some((_, peer_id)) = self.idle.pop_first() else { return };
            self.peers.remove(&peer_id);
        }
    }
}

fn new_peer(now: Duration, requests: Rate) -> Peer {
    let state = PeerState { heard: AtomicU64::new(nanos(now)), requests };
    Peer { state: Arc::new(state), connections: 0, details: Details::default() }
}
