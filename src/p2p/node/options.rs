//! What a node is told.

use std::time::Duration;

use super::lists::Lists;
use crate::limits::Limits;
use crate::p2p::PeerId;
use crate::p2p::address::PeerAddress;

/// What a node is told, the same for every core.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// The limits; those of libp2p count, and `write_timeout_ms`.
    pub limits: Limits,
    /// Peers that are let in where `allow_only` is set.
    pub allow: Vec<PeerId>,
    /// Peers that are neither let in nor dialled; it wins over everything else.
    pub deny: Vec<PeerId>,
    /// Whether only peers of `allow` and `bootstrap` are let in.
    pub allow_only: bool,
    /// Peers that are told of this node from the start.
    pub bootstrap: Vec<PeerAddress>,
    /// The time between two heartbeats.
    pub heartbeat: Duration,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            allow: Vec::new(),
            deny: Vec::new(),
            allow_only: false,
            bootstrap: Vec::new(),
            heartbeat: Duration::from_secs(10),
        }
    }
}

impl NodeOptions {
    pub(super) fn lists(&self) -> Lists {
        let named = self.allow.iter().copied().chain(self.bootstrap.iter().map(|peer| peer.peer_id));
        Lists::new(self.deny.iter().copied(), self.allow_only.then_some(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_and_bootstrap_peers_are_let_in() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let options = NodeOptions {
            allow: vec![peer],
            bootstrap: vec![format!("/ip4/192.0.2.1/tcp/4001/p2p/{other}").parse().unwrap()],
            allow_only: true,
            ..NodeOptions::default()
        };
        let lists = options.lists();
        assert!(lists.lets_in(&peer) && lists.lets_in(&other) && !lists.lets_in(&PeerId::random()));
    }
}
