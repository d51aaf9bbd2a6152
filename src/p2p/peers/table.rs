//! The table of peers: its parts, each under a lock of its own, and the rates of all peers together.

use std::cmp::Reverse;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::super::address::multiaddr;
use super::super::identify::Info;
use super::super::{PeerId, Via};
use super::details::PeerInfo;
use super::place::ConnectionPlace;
use super::rate::Rate;
use super::shard::{Peer, Shard};
use crate::limits::{Limit, Limits};

const MAX_SHARDS: usize = 16;
/// A shard forgets by itself, so a small one would forget early when ids fall unevenly.
const MIN_SHARD_PEERS: usize = 64;

/// One moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// By the clock that never goes back.
    pub instant: Instant,
    /// Seconds since 1970.
    pub wall_s: f64,
}

impl Moment {
    /// This moment.
    pub fn now() -> Moment {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Moment { instant: Instant::now(), wall_s: wall.as_secs_f64() }
    }
}

/// The peers that are known, at most `max_p2p_peers` of them, or as many as are connected: for one more, the one without
/// a connection that was not heard of for longest is forgotten. Above a thousand peers the oldest is that of the same
/// part of the table, of which there are up to 16.
#[derive(Debug)]
pub struct PeerTable {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    epoch: Instant,
    max_connections_per_peer: usize,
    requests_per_s: u64,
    request_burst: u64,
    requests: Rate,
    accepts: Rate,
}

impl PeerTable {
    /// An empty table with these limits. `epoch` is no later than any time that is passed in.
    pub fn new(limits: &Limits, epoch: Instant) -> PeerTable {
        let max = size(limits.max_p2p_peers).max(1);
        let shards = 1 << (max / MIN_SHARD_PEERS).clamp(1, MAX_SHARDS).ilog2();
        let per_s = limits.max_p2p_total_requests_per_s;
        PeerTable {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(max / shards))).collect(),
            hasher: RandomState::new(),
            epoch,
            max_connections_per_peer: size(limits.max_p2p_connections_per_peer),
            requests_per_s: limits.max_p2p_requests_per_s,
            request_burst: limits.max_p2p_request_burst,
            requests: Rate::new(per_s, per_s),
            accepts: Rate::new(limits.max_p2p_accepts_per_s, limits.max_p2p_accepts_per_s),
        }
    }

    /// Whether one more connection may be accepted now (`max_p2p_accepts_per_s`, as many at once after a quiet second).
    pub fn admit_accept(&self, now: Instant) -> bool {
        self.accepts.admit(self.since_epoch(now))
    }

    /// Notes that a peer was heard of, itself or by another. False where there is no room for it, because every known
    /// peer is connected.
    pub fn saw(&self, peer_id: &PeerId, now: Instant) -> bool {
        let now = self.since_epoch(now);
        self.shard(peer_id).saw(peer_id, now, || self.rate())
    }

    /// Counts a connection whose peer has proved its id; an address that was dialled is remembered.
    ///
    /// # Errors
    /// [`Limit::P2pConnectionsPerPeer`]: the peer has as many connections as it may.
    pub fn connected(
        self: &Arc<Self>,
        peer_id: &PeerId,
        address: SocketAddr,
        via: Via,
        now: Instant,
    ) -> Result<ConnectionPlace, Limit> {
        let (since, most) = (self.since_epoch(now), self.max_connections_per_peer);
        let mut shard = self.shard(peer_id);
        let peer = shard.connect(peer_id, since, most, || self.rate()).ok_or(Limit::P2pConnectionsPerPeer)?;
        if via == Via::Dialled {
            peer.details.reached_at(multiaddr(address));
        }
        Ok(ConnectionPlace::new(self.clone(), peer.state.clone(), *peer_id))
    }

    pub(super) fn disconnected(&self, peer_id: &PeerId) {
        self.shard(peer_id).disconnect(peer_id);
    }

    /// Notes how long a known peer took to answer.
    pub fn round_trip(&self, peer_id: &PeerId, round_trip: Duration) {
        if let Some(peer) = self.shard(peer_id).peer_mut(peer_id) {
            peer.details.took(round_trip);
        }
    }

    /// Takes over what a known peer tells of itself, when asked or by a push; what is absent has not changed.
    pub fn identified(&self, peer_id: &PeerId, info: &Info) {
        if let Some(peer) = self.shard(peer_id).peer_mut(peer_id) {
            peer.details.identified(info);
        }
    }

    /// Whether the peer is known.
    pub fn knows(&self, peer_id: &PeerId) -> bool {
        self.shard(peer_id).peers().contains_key(peer_id)
    }

    /// What is known of a peer.
    pub fn find(&self, peer_id: &PeerId, now: Moment) -> Option<PeerInfo> {
        self.shard(peer_id).peers().get(peer_id).map(|peer| self.info(peer_id, peer, now))
    }

    /// At most `limit` peers, the one heard last first. No lock is held for longer than its part takes to look through.
    pub fn list(&self, limit: usize, now: Moment) -> Vec<PeerInfo> {
        let mut heard = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            heard.extend(shard.peers().iter().map(|(peer_id, peer)| (peer.state.last_heard(), *peer_id)));
        }
        if heard.len() > limit {
            heard.select_nth_unstable_by_key(limit, |entry| Reverse(*entry));
            heard.truncate(limit);
        }
        heard.sort_unstable_by_key(|entry| Reverse(*entry));
        heard.iter().filter_map(|(_, peer_id)| self.find(peer_id, now)).collect()
    }

    /// How many peers are known.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).peers().len()).sum()
    }

    /// Whether no peer is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many peers have a connection.
    pub fn connected_peers(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).connected()).sum()
    }

    pub(super) fn since_epoch(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    pub(super) fn admit_of_all(&self, now: Duration) -> bool {
        self.requests.admit(now)
    }

    fn info(&self, peer_id: &PeerId, peer: &Peer, now: Moment) -> PeerInfo {
        let unheard_for = self.since_epoch(now.instant).saturating_sub(peer.state.last_heard());
        PeerInfo {
            peer_id: *peer_id,
            last_seen_s: now.wall_s - unheard_for.as_secs_f64(),
            unheard_for,
            connections: peer.connections,
            addresses: peer.details.addresses(),
            protocols: peer.details.protocols.clone(),
            agent: peer.details.agent.clone(),
            round_trip: peer.details.round_trip,
            smoothed_round_trip: peer.details.smoothed_round_trip,
        }
    }

    fn rate(&self) -> Rate {
        Rate::new(self.requests_per_s, self.request_burst)
    }

    /// The part of the table that a peer belongs to. The hash is keyed, so no peer can choose its part.
    fn shard(&self, peer_id: &PeerId) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(peer_id);
        lock(&self.shards[hash as usize & (self.shards.len() - 1)])
    }
}

/// Nothing under the lock can panic halfway, so a poisoned one is as good as any.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
