//! How a peer is reached of which only the id is known.

use std::net::SocketAddr;

use super::P2p;
use crate::p2p::PeerId;
use crate::p2p::address::{PeerAddress, multiaddr};
use crate::p2p::node::Node;
use crate::p2p::outbound::DialTarget;
use crate::p2p::peers::Moment;

/// Where the operator says; else over the connection that this core has, or at an address that the peer announced and that
/// may be dialled. `connected_from` stands for the connection of a peer that announces no address.
pub(in crate::server) fn find(
    p2p: &P2p,
    node: &Node,
    peer: PeerId,
    connected_from: Option<SocketAddr>,
) -> Option<DialTarget> {
    let bootstrap = p2p.node.options().bootstrap.iter().find(|address| address.peer_id == peer);
    if let Some(address) = bootstrap {
        return Some(DialTarget::written(address.clone()));
    }
    let connected = node.is_connected(&peer);
    let info = p2p.node.peers().find(&peer, Moment::now());
    let announced = info.map(|info| info.addresses).unwrap_or_default();
    let from = connected_from.filter(|_| connected).map(multiaddr);
    let judged = |address| p2p.outbound.announced(PeerAddress { address, peer_id: peer });
    announced.into_iter().chain(from).map(judged).find(|target| connected || target.check().is_ok())
}
