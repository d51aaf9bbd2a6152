//! Addresses and ids as people write them: multiaddrs, peer ids in base58 and as CIDv1.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use super::PeerId;

/// The TCP address that a node listens on, from `/ip4/…/tcp/…` or `/ip6/…/tcp/…`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = Multiaddr::from_str(text).map_err(|error| format!("{text:?} is no multiaddr: {error}"))?;
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Err(format!("{text:?} begins with neither /ip4 nor /ip6")),
    };
    match (parts.next(), parts.next()) {
        (Some(Protocol::Tcp(port)), None) => Ok(SocketAddr::new(ip, port)),
        _ => Err(format!("{text:?} must go on with /tcp/PORT and end there")),
    }
}

/// The multiaddr of a TCP address.
pub fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// A peer id, in base58 or as CIDv1.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn peer_id(text: &str) -> Result<PeerId, String> {
    PeerId::from_str(text).map_err(|error| format!("{text:?} is no peer id: {error}"))
}

/// Where a peer is, and who must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// The address, without the peer id.
    pub address: Multiaddr,
    /// The id that the peer must prove.
    pub peer_id: PeerId,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/p2p/{}", self.address, self.peer_id)
    }
}

impl FromStr for PeerAddress {
    type Err = String;

    /// Reads a multiaddr that ends in `/p2p/ID`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, id) = text.rsplit_once("/p2p/").ok_or_else(|| {
            format!("{text:?} does not end in /p2p/ID, so nobody could be recognised there")
        })?;
        let address = address.parse().map_err(|error| format!("{text:?} is no multiaddr: {error}"))?;
        Ok(Self { address, peer_id: peer_id(id)? })
    }
}
