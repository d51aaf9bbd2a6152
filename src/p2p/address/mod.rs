//! Addresses and ids as people write them: multiaddrs of TCP, peer ids in base58 and as CIDv1.
//!
//! Spoken are `/ip4`, `/ip6`, `/dns`, `/dns4` and `/dns6` with `/tcp/PORT` and, where a peer is meant, `/p2p/ID`. Other
//! multiaddrs are read, because peers announce them, and refused where something is to be dialled or listened on.

mod endpoint;
mod peer_id;
mod place;
mod text;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use super::PeerId;

pub use endpoint::{Endpoint, Family};
pub use peer_id::{cid, peer_id};
pub use place::{Place, place, reachable};
pub use text::{MAX_TEXT_BYTES, read_multiaddr};

/// The TCP address that a node listens on, from `/ip4/…/tcp/…` or `/ip6/…/tcp/…`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = read_multiaddr(text)?;
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        return Err(format!("{text:?}: an address to listen on names no peer; leave /p2p/… out"));
    }
    match Endpoint::of(&address).map_err(|problem| format!("{text:?}: {problem}"))? {
        Endpoint::Address(address) => Ok(address),
        Endpoint::Name { .. } => {
            Err(format!("{text:?} names a host, but an address to listen on begins with /ip4 or /ip6"))
        }
    }
}

/// The multiaddr of a TCP address. An IPv4 address that IPv6 carries (`::ffff:1.2.3.4`) is written as `/ip4`.
pub fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip().to_canonical()).with(Protocol::Tcp(address.port()))
}

/// Where a peer is, and who must be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// The address, without the peer id.
    pub address: Multiaddr,
    /// The id that the peer must prove.
    pub peer_id: PeerId,
}

impl PeerAddress {
    /// Takes a multiaddr apart that ends in `/p2p/ID`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it: nobody is named, or it cannot be dialled.
    pub fn from_multiaddr(mut address: Multiaddr) -> Result<Self, String> {
        let Some(Protocol::P2p(peer_id)) = address.iter().last() else {
            return Err("it does not end in /p2p/ID, so nobody could be recognised there".to_owned());
        };
        address.pop();
        if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
            return Err("it names two peers at its end".to_owned());
        }
        let found = Self { address, peer_id };
        found.endpoint().map(|_| found)
    }

    /// What is to be dialled.
    ///
    /// # Errors
    /// A sentence that says why the address cannot be dialled.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        let endpoint = Endpoint::of(&self.address)?;
        match endpoint.port() {
            0 => Err("port 0 cannot be dialled".to_owned()),
            _ => Ok(endpoint),
        }
    }

    /// The whole multiaddr, `/p2p/ID` included.
    pub fn to_multiaddr(&self) -> Multiaddr {
        self.address.clone().with(Protocol::P2p(self.peer_id))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/p2p/{}", self.address, self.peer_id)
    }
}

impl FromStr for PeerAddress {
    type Err = String;

    /// Reads a multiaddr that ends in `/p2p/ID`, the id in base58 or as CIDv1.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_multiaddr(read_multiaddr(text)?).map_err(|problem| format!("{text:?}: {problem}"))
    }
}

#[cfg(test)]
mod tests;
