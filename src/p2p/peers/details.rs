//! What is remembered of one peer.

use std::time::Duration;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use super::super::PeerId;
use super::super::address::Endpoint;
use super::super::identify::Info;

/// Addresses of one peer that are remembered.
const MAX_ADDRESSES: usize = 8;
/// Protocols of one peer that are remembered.
const MAX_PROTOCOLS: usize = 32;
/// Bytes of a protocol's name; a longer one is not remembered.
const MAX_PROTOCOL_BYTES: usize = 128;
/// Characters of a peer's agent; the rest is cut off.
const MAX_AGENT_CHARS: usize = 128;

/// A peer as it is known at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerInfo {
    /// Its id.
    pub peer_id: PeerId,
    /// When it was last heard of, in seconds since 1970.
    pub last_seen_s: f64,
    /// How long ago that was.
    pub unheard_for: Duration,
    /// Its open connections.
    pub connections: usize,
    /// Where it was reached last, then where it says that it listens; at most 8. A claim is no permission: judge with
    /// [`place`](super::super::address::place) before it is dialled.
    pub addresses: Vec<Multiaddr>,
    /// What it says it serves; at most 32.
    pub protocols: Vec<String>,
    /// The program it says it is, without control characters; at most 128 characters.
    pub agent: Option<String>,
    /// The last round trip.
    pub round_trip: Option<Duration>,
    /// The round trip, smoothed as TCP does it (RFC 6298): an eighth of each new one.
    pub smoothed_round_trip: Option<Duration>,
}

/// The part of it that is told rather than counted.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// Where it was reached.
    reached: Option<Multiaddr>,
    announced: Vec<Multiaddr>,
    pub(super) protocols: Vec<String>,
    pub(super) agent: Option<String>,
    pub(super) round_trip: Option<Duration>,
    pub(super) smoothed_round_trip: Option<Duration>,
}

impl Details {
    pub(super) fn reached_at(&mut self, address: Multiaddr) {
        self.reached = Some(address);
    }

    pub(super) fn addresses(&self) -> Vec<Multiaddr> {
        let announced = self.announced.iter().filter(|address| Some(*address) != self.reached.as_ref());
        self.reached.iter().chain(announced).take(MAX_ADDRESSES).cloned().collect()
    }

    pub(super) fn took(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
        let smoothed = self.smoothed_round_trip.map_or(round_trip, |old| old / 8 * 7 + round_trip / 8);
        self.smoothed_round_trip = Some(smoothed);
    }

    /// Takes over what a peer tells of itself; what is absent has not changed.
    pub(super) fn identified(&mut self, info: &Info) {
        if !info.listen_addrs.is_empty() {
            let can_be_dialled =
                |address: &&Multiaddr| Endpoint::of(address).is_ok_and(|end| end.port() != 0);
            let addresses = info.listen_addrs.iter().filter(can_be_dialled).take(MAX_ADDRESSES);
            self.announced = addresses.map(without_peer).collect();
        }
        if !info.protocols.is_empty() {
            let fits = |name: &&String| name.len() <= MAX_PROTOCOL_BYTES && !name.contains(char::is_control);
            self.protocols = info.protocols.iter().filter(fits).take(MAX_PROTOCOLS).cloned().collect();
        }
        if let Some(agent) = &info.agent_version {
            self.agent = Some(agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT_CHARS).collect());
        }
    }
}

/// Some peers announce their id with each address; who is there is known already.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}
