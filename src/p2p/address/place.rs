//! Where an IP address lies, for the rules of dialling and of access.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where an IP address lies, seen from this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// No address of anybody (`0.0.0.0/8`, `::`); a dial reaches this machine.
    Unspecified,
    /// This machine.
    Loopback,
    /// The same wire (`169.254.0.0/16`, `fe80::/10`); clouds keep their machines' secrets there.
    LinkLocal,
    /// Nobody in particular: multicast and broadcast.
    Many,
    /// A private network (`10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10`, `fc00::/7`, `fec0::/10`).
    Private,
    /// Anywhere else.
    Elsewhere,
}

impl Place {
    /// Whether a remote caller may have it dialled without further permission.
    pub fn is_elsewhere(self) -> bool {
        self == Place::Elsewhere
    }
}

/// Where an address lies. An IPv4 address inside an IPv6 one is judged as what is reached: mapped (`::ffff:a.b.c.d`),
/// compatible (`::a.b.c.d`), of NAT64 (`64:ff9b::/96`) and of 6to4 (`2002::/16`).
pub fn place(ip: IpAddr) -> Place {
    match ip {
        IpAddr::V4(ip) => place_v4(ip),
        IpAddr::V6(ip) => place_v6(ip),
    }
}

/// Where a listener can be reached: its own address, or, where that is unspecified, those of the machine of the same
/// family. Link-local ones are left out: a multiaddr does not say which wire is meant.
pub fn reachable(listener: SocketAddr, machine: &[IpAddr]) -> Vec<SocketAddr> {
    if !listener.ip().is_unspecified() {
        return vec![listener];
    }
    let fits = |ip: &&IpAddr| ip.is_ipv4() == listener.is_ipv4() && place(**ip) != Place::LinkLocal;
    machine.iter().filter(fits).map(|ip| SocketAddr::new(*ip, listener.port())).collect()
}

fn place_v4(ip: Ipv4Addr) -> Place {
    match ip.octets() {
        [0, ..] => Place::Unspecified,
        _ if ip.is_loopback() => Place::Loopback,
        _ if ip.is_link_local() => Place::LinkLocal,
        _ if ip.is_multicast() || ip.is_broadcast() => Place::Many,
        // 100.64.0.0/10 lies behind a provider's translation (RFC 6598).
        [100, 64..=127, ..] => Place::Private,
        _ if ip.is_private() => Place::Private,
        _ => Place::Elsewhere,
    }
}

fn place_v6(ip: Ipv6Addr) -> Place {
    if ip.is_unspecified() {
        return Place::Unspecified;
    }
    if ip.is_loopback() {
        return Place::Loopback;
    }
    if ip.is_multicast() {
        return Place::Many;
    }
    if ip.segments()[0] & 0xffc0 == 0xfe80 {
        return Place::LinkLocal;
    }
    if ip.is_unique_local() || ip.segments()[0] & 0xffc0 == 0xfec0 {
        return Place::Private;
    }
    inner_v4(ip).map_or(Place::Elsewhere, place_v4)
}

fn inner_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(join(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}
