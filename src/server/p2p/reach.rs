//! How a peer is reached of which only the id is known.

use std::net::SocketAddr;

use super::P2p;
use crate::p2p::address::{PeerAddress, multiaddr};
use crate::p2p::node::Node;
use crate::p2p::outbound::DialTarget;
use crate::p2p::peers::Moment;
use crate::p2p::{Multiaddr, PeerId};

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
    let info = p2p.node.peers().find(&peer, Moment::now());
    let announced = info.map(|info| info.addresses).unwrap_or_default();
    let from = connected_from.filter(|_| node.is_connected(&peer)).map(multiaddr);
    at(p2p, node, peer, announced.into_iter().chain(from))
}

/// At one of its addresses: over the connection that this core has to the peer, or where it may be dialled.
pub(super) fn at(
    p2p: &P2p,
    node: &Node,
    peer: PeerId,
    addresses: impl IntoIterator<Item = Multiaddr>,
) -> Option<DialTarget> {
    let connected = node.is_connected(&peer);
    let judged = |address| p2p.outbound.announced(PeerAddress { address, peer_id: peer });
    addresses.into_iter().map(judged).find(|target| connected || target.check().is_ok())
}
