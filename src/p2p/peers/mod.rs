//! The peers that are known: seen, connected, how far away, what they speak. Shared by the cores.
//!
//! The main path: a connection that has proved its peer takes a [`ConnectionPlace`] from the [`PeerTable`], and asks it
//! for each request. That touches two atomic numbers and no lock; a lock is taken where a connection begins or ends, and
//! for what is told about a peer.

mod details;
mod place;
mod rate;
mod shard;
mod table;

pub use details::PeerInfo;
pub use place::ConnectionPlace;
pub use rate::Rate;
pub use table::{Moment, PeerTable};

#[cfg(test)]
mod tests;
