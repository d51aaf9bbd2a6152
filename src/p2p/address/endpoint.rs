//! From a multiaddr to what a socket needs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

/// The longest name that DNS knows, in characters.
const MAX_NAME_CHARS: usize = 253;

/// Which addresses of a name may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `/dns`: all.
    Any,
    /// `/dns4`: those of IPv4.
    V4,
    /// `/dns6`: those of IPv6.
    V6,
}

impl Family {
    /// Whether an address that was found for the name may be used.
    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        }
    }
}

/// One end of a TCP connection, as far as the multiaddr tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An address; nothing is left to be looked up.
    Address(SocketAddr),
    /// A name whose addresses are to be looked up.
    Name {
        /// The name, of letters, digits, hyphens, underscores and dots.
        host: String,
        /// The port.
        port: u16,
        /// Which of its addresses count.
        family: Family,
    },
}

impl Endpoint {
    /// Reads `/ip4|ip6|dns|dns4|dns6/…/tcp/PORT`, with nothing after it but perhaps `/p2p/ID`.
    ///
    /// # Errors
    /// A sentence that says why no TCP connection can be made to it.
    pub fn of(address: &Multiaddr) -> Result<Endpoint, String> {
        let mut parts = address.iter();
        let host = parts.next().ok_or_else(|| "it does not say where".to_owned())?;
        let name = |host: &str, port, family| Ok(Endpoint::Name { host: host_name(host)?, port, family });
        match host {
            Protocol::Ip4(ip) => Ok(Endpoint::Address((ip, end(parts)?).into())),
            Protocol::Ip6(ip) => Ok(Endpoint::Address((ip, end(parts)?).into())),
            Protocol::Dns(host) => name(&host, end(parts)?, Family::Any),
            Protocol::Dns4(host) => name(&host, end(parts)?, Family::V4),
            Protocol::Dns6(host) => name(&host, end(parts)?, Family::V6),
            Protocol::P2p(_) => Err("it names a peer, but not where it is".to_owned()),
            other => Err(format!("it begins with /{}, but ip4, ip6 or dns is due", other.tag())),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            Endpoint::Address(address) => address.port(),
            Endpoint::Name { port, .. } => *port,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Address(address) => address.fmt(f),
            Endpoint::Name { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// The port, which is all that may follow the host.
fn end<'a>(mut parts: impl Iterator<Item = Protocol<'a>>) -> Result<u16, String> {
    let port = match parts.next() {
        Some(Protocol::Tcp(port)) => port,
        Some(Protocol::Udp(_)) => return Err("it is of UDP, and only TCP is spoken".to_owned()),
        Some(other) => return Err(format!("it goes on with /{}, but /tcp/PORT is due", other.tag())),
        None => return Err("it names no port; /tcp/PORT is due".to_owned()),
    };
    match (parts.next(), parts.next()) {
        (None, _) | (Some(Protocol::P2p(_)), None) => Ok(port),
        (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit)) | (Some(Protocol::P2pCircuit), _) => {
            Err("it leads through a relay, and relays are not spoken here".to_owned())
        }
        (Some(Protocol::P2p(_)), Some(other)) | (Some(other), _) => {
            Err(format!("it goes on with /{}, but only plain TCP is spoken", other.tag()))
        }
    }
}

fn host_name(name: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.bytes().all(is_plain) {
        return Err(format!("{name:?} is not the name of a host"));
    }
    // The resolver would take it for what it is, and IPv4 written as a number too.
    if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("{name:?} is no name; an address is written as /ip4/… or /ip6/…"));
    }
    Ok(name.to_owned())
}
