//! What `list_peers` tells: this node, its bootstrap peers, and those it has met.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::p2p::PeerId;
use crate::p2p::address::PeerAddress;
use crate::p2p::peers::{Moment, PeerInfo};
use crate::server::p2p::P2p;
use crate::server::shared::Shared;
use crate::tools::task_queue::{KnownPeer, Myself};

pub(super) fn myself(shared: &Shared) -> Myself {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_at = now.saturating_sub(shared.started_at.elapsed());
    let p2p = shared.p2p.as_ref();
    Myself {
        peer_id: p2p.map(|p2p| p2p.task_queue.peer_id().to_owned()).unwrap_or_default(),
        listen_port: p2p.and_then(|p2p| p2p.own.iter().chain(&p2p.also).map(|address| address.port()).next()),
        started_at: (started_at.as_secs_f64() * 1_000.0).round() / 1_000.0,
    }
}

pub(super) fn peers(p2p: &P2p, limit: usize) -> Vec<KnownPeer> {
    let (table, now) = (p2p.node.peers(), Moment::now());
    let bootstrap = &p2p.node.options().bootstrap;
    let mut named: Vec<PeerId> = Vec::new();
    for address in bootstrap {
        if !named.contains(&address.peer_id) {
            named.push(address.peer_id);
        }
    }
    let mut peers: Vec<KnownPeer> =
        named.iter().take(limit).map(|peer| known(*peer, table.find(peer, now), bootstrap)).collect();
    // Those of the configuration may be among them once more.
    let met = table.list(limit, now).into_iter().filter(|peer| !named.contains(&peer.peer_id));
    let met = met.map(|peer| known(peer.peer_id, Some(peer), &[]));
    peers.extend(met.take(limit - peers.len()));
    peers
}

/// One peer; the addresses that the operator wrote come first.
fn known(peer: PeerId, info: Option<PeerInfo>, written: &[PeerAddress]) -> KnownPeer {
    let mut multiaddrs: Vec<String> =
        written.iter().filter(|address| address.peer_id == peer).map(ToString::to_string).collect();
    let bootstrap = !multiaddrs.is_empty();
    let met = info.as_ref().map(|info| info.addresses.as_slice()).unwrap_or_default();
    for address in met {
        let text = PeerAddress { address: address.clone(), peer_id: peer }.to_string();
        if !multiaddrs.contains(&text) {
            multiaddrs.push(text);
        }
    }
    KnownPeer {
        peer_id: peer.to_base58(),
        multiaddrs,
        bootstrap,
        connected: info.as_ref().is_some_and(|info| info.connections > 0),
        last_seen: info.as_ref().map(|info| info.last_seen_s),
        round_trip: info.as_ref().and_then(|info| info.round_trip),
        agent: info.as_ref().and_then(|info| info.agent.clone()),
        protocols: info.map(|info| info.protocols).unwrap_or_default(),
    }
}
