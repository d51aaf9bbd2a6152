//! From the configuration to what nodes and their dialling are told.

use std::time::Duration;

use crate::config::ServerConfig;
use crate::p2p::address::peer_id;
use crate::p2p::node::NodeOptions;
use crate::p2p::outbound::DialPolicy;

/// What the nodes are told.
///
/// # Errors
/// A sentence that says which text is no peer id or address; a configuration that was validated has none.
pub(super) fn node_options(config: &ServerConfig) -> Result<NodeOptions, String> {
    let ids = |texts: &[String]| texts.iter().map(|text| peer_id(text)).collect::<Result<Vec<_>, _>>();
    let addresses = config.p2p_bootstrap_peers.iter().map(|text| text.parse());
    Ok(NodeOptions {
        limits: config.limits.clone(),
        allow: ids(&config.p2p_allow_peers)?,
        deny: ids(&config.p2p_deny_peers)?,
        allow_only: config.p2p_allow_only,
        bootstrap: addresses.collect::<Result<_, _>>()?,
        heartbeat: Duration::from_millis(config.p2p_heartbeat_ms),
    })
}

/// Whom they dial, and who is shown the token.
pub(super) fn dial_policy(config: &ServerConfig, options: &NodeOptions) -> DialPolicy {
    let token = config.p2p_token.as_ref().map(|token| token.0.as_str());
    let allowed = options.allow.iter().copied();
    DialPolicy::new(options.bootstrap.clone(), allowed, token, config.p2p_dial == "any")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;
    use crate::config::Secret;
    use crate::p2p::PeerId;

    #[test]
    fn a_configuration_becomes_options() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let config = ServerConfig {
            p2p_allow_peers: vec![peer.to_base58()],
            p2p_bootstrap_peers: vec![format!("/ip4/192.0.2.1/tcp/4001/p2p/{other}")],
            p2p_allow_only: true,
            p2p_heartbeat_ms: 250,
            ..ServerConfig::default()
        };
        let options = node_options(&config).unwrap();
        assert_eq!((options.allow.as_slice(), options.bootstrap[0].peer_id), (&[peer][..], other));
        assert_eq!((options.heartbeat, options.allow_only), (Duration::from_millis(250), true));
        let wrong = ServerConfig { p2p_deny_peers: vec!["x".to_owned()], ..config };
        assert!(node_options(&wrong).unwrap_err().contains("\"x\""));
    }

    #[test]
    fn a_configuration_becomes_rules_of_dialling() {
        let (peer, stranger) = (PeerId::random(), PeerId::random());
        let config = |dial: &str| ServerConfig {
            p2p_allow_peers: vec![peer.to_base58()],
            p2p_token: Some(Secret("s3cret".to_owned())),
            p2p_dial: dial.to_owned(),
            ..ServerConfig::default()
        };
        for (dial, anybody) in [("known", false), ("any", true)] {
            let config = config(dial);
            let policy = dial_policy(&config, &node_options(&config).unwrap());
            let target = format!("/ip4/192.0.2.1/tcp/1/p2p/{stranger}");
            assert_eq!(policy.judge(&target, |_| false).is_ok(), anybody, "{dial}");
            assert_eq!((policy.token_for(&peer), policy.token_for(&stranger)), (Some("s3cret"), None));
        }
    }
}
