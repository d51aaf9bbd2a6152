//! Why a peer was not reached.

use std::fmt;
use std::time::Duration;

use crate::limits::Limit;
use crate::observe::metrics::DialFailure;
use crate::p2p::address::PeerAddress;
use crate::p2p::outbound::DialRefusal;
use crate::p2p::stack::{HandshakeError, OpenError};
use crate::runtime::ConnectError;

/// Why there is no stream to a peer. Nothing was sent on one.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The address is this node's own.
    Own,
    /// The peer is one of `p2p_deny_peers`.
    Denied(PeerAddress),
    /// The node is shutting down.
    Closing,
    /// The address leads nowhere, or where it may not.
    Refused(PeerAddress, DialRefusal),
    /// Nobody answers there.
    Connect(PeerAddress, ConnectError),
    /// Somebody answers, but no connection came of it.
    Handshake(PeerAddress, HandshakeError),
    /// Somebody else is there, or pretends nothing better: [`HandshakeError::WrongPeer`].
    WrongPeer(PeerAddress, HandshakeError),
    /// `p2p_dial_timeout_ms` is over.
    Timeout(PeerAddress, Duration),
    /// It failed a moment ago, and is not tried again at once.
    Recent {
        /// The peer.
        target: PeerAddress,
        /// When it is tried again.
        left: Duration,
        /// Why it failed.
        why: DialFailure,
        /// The same as a sentence.
        message: Box<str>,
    },
    /// A limit of this node was hit.
    Limit(Limit),
    /// The peer is there, but refused the stream.
    Open(PeerAddress, OpenError),
}

impl DialError {
    /// How the metrics count it; `None` where no connection was tried.
    pub fn failure(&self) -> Option<DialFailure> {
        Some(match self {
            Self::Refused(..) => DialFailure::Resolve,
            Self::Connect(_, error) if error.timed_out => DialFailure::Timeout,
            Self::Connect(..) => DialFailure::Connect,
            Self::Handshake(..) => DialFailure::Handshake,
            Self::WrongPeer(..) => DialFailure::WrongPeer,
            Self::Timeout(..) => DialFailure::Timeout,
            Self::Limit(_) => DialFailure::Limit,
            Self::Recent { .. } | Self::Own | Self::Denied(_) | Self::Closing | Self::Open(..) => {
                return None;
            }
        })
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("this node does not dial itself"),
            Self::Denied(target) => write!(f, "{} is one of p2p_deny_peers", target.peer_id),
            Self::Closing => f.write_str("this node is shutting down"),
            Self::Refused(target, refusal) => write!(f, "cannot dial {target}: {refusal}"),
            Self::Connect(target, error) => write!(f, "cannot connect to {target}: {error}"),
            Self::Handshake(target, error) => write!(f, "no libp2p connection to {target}: {error}"),
            Self::WrongPeer(target, error) => write!(f, "not the right peer at {}: {error}", target.address),
            Self::Timeout(target, time) => {
                write!(f, "{target} did not answer within {} ms (p2p_dial_timeout_ms)", time.as_millis())
            }
            Self::Recent { left, message, .. } => {
                write!(f, "{message}; that was a moment ago, the next try is in {} ms", left.as_millis())
            }
            Self::Limit(limit) => write!(f, "{} is reached: no room for one more connection", limit.name()),
            Self::Open(target, error) => write!(f, "no stream to {}: {error}", target.peer_id),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_, refusal) => Some(refusal),
            Self::Connect(_, error) => Some(error),
            Self::Handshake(_, error) | Self::WrongPeer(_, error) => Some(error),
            Self::Open(_, error) => Some(error),
            _ => None,
        }
    }
}
