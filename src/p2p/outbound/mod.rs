//! Whom this node dials because somebody asks, who gets the shared token, and how much time is left for it.
//!
//! Whoever may call a tool with an address in it may make this node open connections. So an address must name the peer
//! that has to be there, the peer must be one that this node has reason to know, and the place must not be one that only
//! this machine can reach. A name is looked up once, and what it turned out to be is judged and dialled: it cannot become
//! something else in between.

mod hop;
mod resolve;

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::PeerId;
use super::address::{Endpoint, PeerAddress, Place, place};

pub use hop::{HOP_MARGIN, time_for_next_hop};

/// The operator's rules.
#[derive(Clone, Default)]
pub struct DialPolicy {
    bootstrap: Vec<PeerAddress>,
    named: HashSet<PeerId>,
    token: Option<Box<str>>,
    any: bool,
}

/// Whom to dial and where that may lead: what [`Node::open_to`](super::node::Node::open_to) takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialTarget {
    address: PeerAddress,
    anywhere: bool,
}

/// Why an address is not dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialRefusal {
    /// It is no multiaddr that could be dialled, or names no peer. The text says what is wrong.
    Address(String),
    /// The peer is not one that this node knows.
    Unknown(PeerId),
    /// It leads to where a remote caller may not send this node.
    Place {
        /// The address.
        ip: IpAddr,
        /// Where it lies.
        place: Place,
    },
    /// The name has no address. The text says why.
    Resolve(String),
}

impl DialPolicy {
    /// Rules from the configuration: the bootstrap peers, the allowed ids, the shared token, and whether `p2p_dial` is
    /// `any`.
    pub fn new(
        bootstrap: Vec<PeerAddress>,
        allowed: impl IntoIterator<Item = PeerId>,
        token: Option<&str>,
        any: bool,
    ) -> Self {
        let named = bootstrap.iter().map(|address| address.peer_id).chain(allowed).collect();
        Self { bootstrap, named, token: token.filter(|token| !token.is_empty()).map(Box::from), any }
    }

    /// Judges an address that a caller names. `is_known` says whether this node has met the peer.
    ///
    /// The addresses that the configuration holds may be dialled wherever they lead.
    ///
    /// # Errors
    /// [`DialRefusal`], a sentence for the caller.
    pub fn judge(&self, text: &str, is_known: impl Fn(&PeerId) -> bool) -> Result<DialTarget, DialRefusal> {
        let address: PeerAddress = text.parse().map_err(DialRefusal::Address)?;
        let anywhere = self.any || self.bootstrap.contains(&address);
        let peer = &address.peer_id;
        if !(anywhere || self.named.contains(peer) || is_known(peer)) {
            return Err(DialRefusal::Unknown(*peer));
        }
        let target = DialTarget { address, anywhere };
        target.check()?;
        Ok(target)
    }

    /// An address that a known peer announces for itself. One that the operator named is believed wherever it leads;
    /// what others announce must not lead into this machine or its network.
    pub fn announced(&self, address: PeerAddress) -> DialTarget {
        let anywhere = self.any || self.named.contains(&address.peer_id);
        DialTarget { address, anywhere }
    }

    /// The shared token, for a peer that is named in the configuration and has proved to be that. `None` for all others,
    /// also where anybody may be dialled: whoever is dialled must not learn it by that.
    pub fn token_for(&self, proved: &PeerId) -> Option<&str> {
        self.token.as_deref().filter(|_| self.named.contains(proved))
    }
}

impl fmt::Debug for DialPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialPolicy")
            .field("named", &self.named.len())
            .field("has_token", &self.token.is_some())
            .field("any", &self.any)
            .finish_non_exhaustive()
    }
}

impl DialTarget {
    /// An address that the operator or the user wrote: it is dialled wherever it leads.
    pub fn written(address: PeerAddress) -> DialTarget {
        DialTarget { address, anywhere: true }
    }

    /// What is to be dialled.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Judges it as far as that can be done without looking a name up. The rest is judged when it is dialled.
    ///
    /// # Errors
    /// It cannot be dialled, or leads where it may not.
    pub fn check(&self) -> Result<(), DialRefusal> {
        match self.endpoint()? {
            Endpoint::Address(known) => self.judge_place(known.ip()),
            Endpoint::Name { .. } => Ok(()),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, DialRefusal> {
        self.address.endpoint().map_err(DialRefusal::Address)
    }

    fn judge_place(&self, ip: IpAddr) -> Result<(), DialRefusal> {
        let place = place(ip);
        match self.anywhere || place.is_elsewhere() {
            true => Ok(()),
            false => Err(DialRefusal::Place { ip, place }),
        }
    }

    /// The addresses that may be dialled, of those that the target's name has.
    fn among(&self, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, DialRefusal> {
        let mut refusal = DialRefusal::Resolve("the name has no address of the family asked for".to_owned());
        let mut admitted = Vec::new();
        for address in found {
            match self.judge_place(address.ip()) {
                Ok(()) => admitted.push(*address),
                Err(error) => refusal = error,
            }
        }
        if admitted.is_empty() { Err(refusal) } else { Ok(admitted) }
    }
}

impl fmt::Display for DialRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => f.write_str(why),
            Self::Unknown(peer) => write!(
                f,
                "{peer} is not a peer that this node knows; bootstrap, allowed and known peers are dialled, others need p2p_dial = any"
            ),
            Self::Place { ip, place } => {
                let what = match place {
                    Place::Loopback => "a loopback address",
                    Place::Unspecified => "no address of a peer",
                    Place::LinkLocal => "a link-local address",
                    Place::Many => "an address of many",
                    Place::Private | Place::Elsewhere => "an address of a private network",
                };
                write!(f, "{ip} is {what}; such are dialled for others only with p2p_dial = any")
            }
            Self::Resolve(why) => write!(f, "the peer's name leads nowhere: {why}"),
        }
    }
}

impl std::error::Error for DialRefusal {}

#[cfg(test)]
mod tests;
