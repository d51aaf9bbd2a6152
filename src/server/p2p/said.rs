//! What the log says of libp2p at the start: who this node is, where it is, and who may do what.

use super::{P2p, via};
use crate::config::ServerConfig;
use crate::p2p::Via;

/// Says it.
pub(in crate::server) fn announce(p2p: &P2p, config: &ServerConfig) {
    let id = p2p.node.identity().base58();
    if p2p.own.is_empty() && p2p.also.is_empty() {
        return tracing::debug!("peer id {id}; no peer can connect, because p2p_listen is empty");
    }
    tracing::info!("peer id {id}");
    for address in p2p.addresses() {
        tracing::info!("peers connect to {address}");
    }
    let listeners: Vec<Via> = p2p.own.iter().chain(&p2p.also).map(|listener| via(*listener)).collect();
    let beyond = listeners.contains(&Via::Beyond);
    match rule(config, listeners.contains(&Via::Loopback), beyond) {
        (rule, true) => tracing::warn!("{rule}"),
        (rule, false) => tracing::info!("{rule}"),
    }
    if config.p2p_allow_only {
        tracing::info!("only the peers of p2p_allow_peers and p2p_bootstrap_peers are let in");
    }
}

/// Who may do what, and whether that is a warning.
fn rule(config: &ServerConfig, loopback: bool, beyond: bool) -> (&'static str, bool) {
    match (config.p2p_open, loopback, beyond) {
        (true, _, true) => (
            "p2p_open is set: every peer that can connect may call everything, from other machines too",
            true,
        ),
        (_, true, true) => (
            "peers on loopback listeners may call everything; on others, what changes state needs the shared token or an allowed peer id",
            false,
        ),
        (_, false, true) => {
            ("what changes state needs the shared token or an allowed peer id; peers may read without", false)
        }
        _ => ("peers on this machine may call everything; no others can connect", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_listeners_and_an_open_node_is_a_warning() {
        let (closed, open) =
            (ServerConfig::default(), ServerConfig { p2p_open: true, ..ServerConfig::default() });
        assert!(rule(&closed, true, false).0.starts_with("peers on this machine"));
        assert!(rule(&closed, true, true).0.starts_with("peers on loopback listeners"));
        assert!(rule(&closed, false, true).0.starts_with("what changes state needs"));
        assert!(!rule(&open, true, false).1, "nobody else can connect");
        assert!(rule(&open, true, true).1 && rule(&open, false, true).1);
    }
}
