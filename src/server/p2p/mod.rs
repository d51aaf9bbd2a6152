//! What the server offers to libp2p peers.

pub(crate) mod mcp;
#[cfg(test)]
mod pipe;
pub(crate) mod task_queue;
