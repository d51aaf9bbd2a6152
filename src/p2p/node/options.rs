//! What a node is told.

use std::time::Duration;

use super::lists::Lists;
use crate::config::ServerConfig;
use crate::limits::Limits;
use crate::p2p::PeerId;
use crate::p2p::address::{PeerAddress, peer_id};

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
    /// Whether callers may have any peer dialled, wherever it is.
    pub dial_any: bool,
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
            dial_any: false,
        }
    }
}

impl NodeOptions {
    /// The options of a configuration.
    ///
    /// # Errors
    /// A sentence that says which text is no peer id or address; a configuration that was validated has none.
    pub fn from_config(config: &ServerConfig) -> Result<NodeOptions, String> {
        let ids = |texts: &[String]| texts.iter().map(|text| peer_id(text)).collect::<Result<Vec<_>, _>>();
        let addresses = config.p2p_bootstrap_peers.iter().map(|text| text.parse());
        Ok(NodeOptions {
            limits: config.limits.clone(),
            allow: ids(&config.p2p_allow_peers)?,
            deny: ids(&config.p2p_deny_peers)?,
            allow_only: config.p2p_allow_only,
            bootstrap: addresses.collect::<Result<_, _>>()?,
            heartbeat: Duration::from_millis(config.p2p_heartbeat_ms),
            dial_any: config.p2p_dial == "any",
        })
    }

    pub(super) fn lists(&self) -> Lists {
        let named = self.allow.iter().copied().chain(self.bootstrap.iter().map(|peer| peer.peer_id));
        Lists::new(self.deny.iter().copied(), self.allow_only.then_some(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_becomes_options() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let config = ServerConfig {
            p2p_allow_peers: vec![peer.to_base58()],
            p2p_bootstrap_peers: vec![format!("/ip4/192.0.2.1/tcp/4001/p2p/{other}")],
            p2p_allow_only: true,
            p2p_dial: "any".to_owned(),
            p2p_heartbeat_ms: 250,
            ..ServerConfig::default()
        };
        let options = NodeOptions::from_config(&config).unwrap();
        assert_eq!((options.allow.as_slice(), options.bootstrap[0].peer_id), (&[peer][..], other));
        assert_eq!((options.heartbeat, options.dial_any), (Duration::from_millis(250), true));
        let lists = options.lists();
        assert!(lists.lets_in(&peer) && lists.lets_in(&other) && !lists.lets_in(&PeerId::random()));
        let wrong = ServerConfig { p2p_deny_peers: vec!["x".to_owned()], ..config };
        assert!(NodeOptions::from_config(&wrong).unwrap_err().contains("\"x\""));
    }
}
