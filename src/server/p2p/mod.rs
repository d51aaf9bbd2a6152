//! What the server offers to libp2p peers.

pub(crate) mod mcp;
pub(crate) mod task_queue;
