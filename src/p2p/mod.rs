//! libp2p on this core: TCP, Noise, Yamux and multistream-select, and the small protocols that every node speaks.
//!
//! The main path: [`node`] accepts or dials a connection → [`stack`] secures and multiplexes it → each stream that a peer
//! opens goes to [`identify`], [`ping`] or to the [`Service`] that the node was given.

pub mod access;
pub mod address;
pub mod frame;
pub mod identify;
pub mod identity;
pub mod line;
pub mod node;
pub mod outbound;
pub mod peers;
pub mod ping;
#[cfg(test)]
pub(crate) mod pipe;
pub mod rpc_client;
mod service;
pub mod stack;
pub mod task_queue;

pub use libp2p_core::Multiaddr;
pub use libp2p_identity::{Keypair, PeerId};
pub use service::{LocalBoxFuture, Remote, Service, Via};

/// MCP over a stream of frames.
pub const MCP_PROTOCOL: &str = "/mcp+p2p/1.0.0";
/// The task queue RPC: a line and its answer on each stream.
pub const TASK_QUEUE_PROTOCOL: &str = "/ipfs-datasets/task-queue/1.0.0";
/// Who a peer is, asked.
pub const IDENTIFY_PROTOCOL: &str = "/ipfs/id/1.0.0";
/// Who a peer is, told when it changes.
pub const IDENTIFY_PUSH_PROTOCOL: &str = "/ipfs/id/push/1.0.0";
/// Whether a peer is there, and how far away.
pub const PING_PROTOCOL: &str = "/ipfs/ping/1.0.0";
