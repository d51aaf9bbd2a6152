//! What the nodes of all cores share: one identity, one table of peers, one count of connections and of streams.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::NodeOptions;
use super::lists::Lists;
use crate::limits::{Bounded, Limits};
use crate::observe::Names;
use crate::p2p::identify::Info;
use crate::p2p::identity::Identity;
use crate::p2p::peers::PeerTable;
use crate::p2p::stack::{HandshakeError, NoiseKey, StackOptions};
use crate::p2p::{IDENTIFY_PROTOCOL, IDENTIFY_PUSH_PROTOCOL, Multiaddr, PING_PROTOCOL};

/// What every node speaks, whatever its service.
pub(super) const INHERENT: [&str; 3] = [IDENTIFY_PROTOCOL, IDENTIFY_PUSH_PROTOCOL, PING_PROTOCOL];

/// One for the process, shared by the nodes of its cores.
#[derive(Debug)]
pub struct NodeShared {
    identity: Identity,
    /// Made for the first handshake.
    noise_key: OnceLock<NoiseKey>,
    options: NodeOptions,
    pub(super) lists: Lists,
    peers: Arc<PeerTable>,
    listen: Vec<Multiaddr>,
    /// What this node says of itself.
    pub(super) info: Info,
    pub(super) connections: Bounded,
    pub(super) streams: Bounded,
}

impl NodeShared {
    /// `listen` is where peers reach this node, without its id; `protocols` are those of the service.
    pub fn new(
        identity: Identity,
        options: NodeOptions,
        listen: Vec<Multiaddr>,
        protocols: &[&'static str],
    ) -> Arc<NodeShared> {
        let spoken: Vec<&str> = INHERENT.iter().chain(protocols).copied().collect();
        Arc::new(NodeShared {
            info: Info::of(&identity, &listen, &spoken),
            lists: options.lists(),
            peers: Arc::new(PeerTable::new(&options.limits, Instant::now())),
            connections: Bounded::new(options.limits.max_p2p_connections),
            streams: Bounded::new(options.limits.max_p2p_streams),
            identity,
            noise_key: OnceLock::new(),
            listen,
            options,
        })
    }

    /// The names that metrics of a node with these protocols need.
    pub fn names(protocols: &[&'static str]) -> Names {
        Names { p2p_protocols: INHERENT.iter().chain(protocols).copied().collect(), ..Names::default() }
    }

    /// Who this node is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it was told.
    pub fn options(&self) -> &NodeOptions {
        &self.options
    }

    /// The peers that are known.
    pub fn peers(&self) -> &Arc<PeerTable> {
        &self.peers
    }

    /// Where peers reach it, without its id.
    pub fn listen(&self) -> &[Multiaddr] {
        &self.listen
    }

    /// Connections open on all cores, those in their handshake included.
    pub fn connections(&self) -> u64 {
        self.connections.now()
    }

    /// Streams of peers open on all cores.
    pub fn streams(&self) -> u64 {
        self.streams.now()
    }

    /// The key of every handshake. Two cores that begin at the same moment may make one each; the first one stays.
    pub(super) fn noise_key(&self) -> Result<&NoiseKey, HandshakeError> {
        if let Some(key) = self.noise_key.get() {
            return Ok(key);
        }
        let key = NoiseKey::new(self.identity.keypair())?;
        Ok(self.noise_key.get_or_init(|| key))
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.options.limits
    }

    pub(super) fn stack(&self) -> StackOptions {
        let bound = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        StackOptions {
            max_streams: bound(self.limits().max_p2p_connection_streams),
            max_unread_bytes: bound(self.limits().max_p2p_connection_unread_bytes),
        }
    }
}
