//! From the configuration to what the nodes of all cores share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use socket2::Socket;

use super::options::{dial_policy, node_options};
use super::task_queue;
use super::{P2p, service};
use crate::config::ServerConfig;
use crate::observe::Names;
use crate::p2p::address::{listen_address, multiaddr, reachable};
use crate::p2p::node::NodeShared;
use crate::p2p::task_queue::OPERATIONS;
use crate::runtime;
use crate::server::error::ServerError;
use crate::server::setup::reserve;
use crate::server::{Keeping, node_identity};

/// The label of the heartbeats that this node sends. It comes after the operations, before what has no name.
const HEARTBEAT_SENT: &str = "heartbeat_sent";
/// Its index.
pub(super) const HEARTBEAT_SENT_INDEX: usize = OPERATIONS.len();
/// The label of the requests with which this node fetches and acknowledges workflow tasks.
const FETCH_SENT: &str = "workflow_fetch_sent";
/// Its index.
pub(super) const FETCH_SENT_INDEX: usize = HEARTBEAT_SENT_INDEX + 1;

/// What the metrics call the operations, in the order of their indexes.
pub(in crate::server) fn operation_names() -> Vec<&'static str> {
    OPERATIONS.iter().copied().chain([HEARTBEAT_SENT, FETCH_SENT]).collect()
}

/// Names for the metrics that hold those of the protocols.
pub(in crate::server) fn protocol_names() -> Names {
    NodeShared::names(service::PROTOCOLS)
}

/// What setting up libp2p needs besides the configuration.
pub(in crate::server) struct P2pSetup<'a> {
    /// Whether state is kept where services and users keep theirs.
    pub(in crate::server) default_data_dir: bool,
    /// Takes the sockets that keep the ports.
    pub(in crate::server) reserved: &'a mut Vec<Socket>,
}

/// Finds the node's key, binds its addresses and reads its lists; `None` where `p2p` is off. The addresses of `listen`
/// are resolved already.
pub(in crate::server) fn prepare(
    config: &ServerConfig,
    setup: P2pSetup<'_>,
) -> Result<Option<P2p>, ServerError> {
    if !config.p2p {
        return Ok(None);
    }
    let (identity, keeping) =
        node_identity(config, setup.default_data_dir, |name: &str| std::env::var_os(name))?;
    if let Keeping::Nowhere(why) = keeping {
        // Only who is found by others is missed under another name.
        match config.p2p_listen.is_empty() {
            true => tracing::debug!("{why}, so this node has another peer id at each start"),
            false => tracing::warn!("{why}, or else this node has another peer id at each start"),
        }
    }
    let startup = |problem: String| ServerError::Startup(problem.into());
    let (mut own, mut also) = (Vec::new(), Vec::new());
    for text in &config.p2p_listen {
        let address = listen_address(text).map_err(startup)?;
        match address.port() != 0 && config.listen.contains(&address) {
            true => also.push(address),
            false => own.push(reserve(address, setup.reserved)?),
        }
    }
    let options = node_options(config).map_err(startup)?;
    let told = told(own.iter().chain(&also));
    let task_queue = task_queue::task_queue(config, identity.base58());
    let policy = Arc::new(task_queue::policy(config));
    let outbound = dial_policy(config, &options);
    let node = NodeShared::new(identity, options, told, service::PROTOCOLS);
    Ok(Some(P2p { node, own, also, policy, task_queue, outbound, exchanges: Mutex::default() }))
}

/// What peers are told of the addresses: an unspecified one stands for every address of the machine.
fn told<'a>(listeners: impl Iterator<Item = &'a SocketAddr>) -> Vec<crate::p2p::Multiaddr> {
    let listeners: Vec<_> = listeners.copied().collect();
    let unspecified = listeners.iter().any(|address| address.ip().is_unspecified());
    let machine = if unspecified { runtime::machine_addresses() } else { Vec::new() };
    listeners.iter().flat_map(|listener| reachable(*listener, &machine)).map(multiaddr).collect()
}
