//! `/ipfs/id/1.0.0` and its push: the message, bytes in and bytes out, and the two sides of an exchange (libp2p specs,
//! identify).
//!
//! A message says who a node is, where it listens, what it speaks and from where it sees the other. It is a claim: only
//! the public key is checked, against the id that the handshake proved.

mod exchange;
mod message;
mod wire;

use std::fmt;
use std::io;

use libp2p_core::{Multiaddr, PeerRecord};
use libp2p_identity::PublicKey;

use super::PeerId;
use super::identity::Identity;

pub use exchange::{answer, ask, push, take_push};

/// The family of protocols that every node of this kind names.
pub const PROTOCOL_VERSION: &str = "ipfs/0.1.0";
/// What this node calls itself.
pub const AGENT_VERSION: &str = concat!("ringmesh/", env!("CARGO_PKG_VERSION"));

/// Bytes of a message that is read; more ends the stream. go-libp2p and js-libp2p draw the line there too.
pub const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// Bytes of a message of ours: rust-libp2p reads no more.
pub const MAX_SENT_BYTES: usize = 4 << 10;
/// Listen addresses that are told and kept of one message; more are ignored.
pub const MAX_ADDRESSES: usize = 32;
/// Protocols that are kept of one message; more are ignored.
pub const MAX_PROTOCOLS: usize = 128;
/// Bytes of one protocol's name, of the agent and of the protocol version; longer ones are ignored, or cut.
pub const MAX_NAME_BYTES: usize = 256;

/// What a node says of itself. In a push, what is absent or empty has not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// Its public key, as libp2p encodes it.
    pub public_key: Option<Vec<u8>>,
    /// Where it can be dialled, without `/p2p/ID`.
    pub listen_addrs: Vec<Multiaddr>,
    /// What it serves.
    pub protocols: Vec<String>,
    /// Where it sees the reader of the message.
    pub observed_addr: Option<Multiaddr>,
    /// The family of its protocols.
    pub protocol_version: Option<String>,
    /// Its program and version.
    pub agent_version: Option<String>,
    /// Its addresses once more, signed (libp2p RFC 3). Nothing here looks into it.
    pub signed_peer_record: Option<Vec<u8>>,
}

impl Info {
    /// What this node says of itself: its first [`MAX_ADDRESSES`] addresses and these protocols, signed unless that
    /// would be more than others read.
    pub fn of(identity: &Identity, listen_addrs: &[Multiaddr], protocols: &[&str]) -> Info {
        let listen_addrs: Vec<_> = listen_addrs.iter().take(MAX_ADDRESSES).cloned().collect();
        let record = PeerRecord::new_interop(identity.keypair(), listen_addrs.clone());
        let signed = record.ok().map(|record| record.into_signed_envelope().into_protobuf_encoding());
        let mut info = Info {
            public_key: Some(identity.keypair().public().encode_protobuf()),
            listen_addrs,
            protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
            observed_addr: None,
            protocol_version: Some(PROTOCOL_VERSION.to_owned()),
            agent_version: Some(AGENT_VERSION.to_owned()),
            signed_peer_record: signed,
        };
        // The observed address, which is put in for each reader, takes at most 40 bytes.
        if info.encode().len() + 40 > MAX_SENT_BYTES {
            info.signed_peer_record = None;
        }
        info
    }

    /// The same, told to a peer that is seen at `observed`.
    #[must_use]
    pub fn seen_from(&self, observed: Multiaddr) -> Info {
        Info { observed_addr: Some(observed), ..self.clone() }
    }

    /// The message, its length in front.
    pub fn encode(&self) -> Vec<u8> {
        message::encode(self)
    }

    /// Reads a message without its length. Addresses of kinds that are not known, and what is beyond the bounds of this
    /// module, are left out.
    ///
    /// # Errors
    /// It is too long, or not what the protocol says.
    pub fn decode(bytes: &[u8]) -> Result<Info, IdentifyError> {
        message::decode(bytes)
    }

    /// Checks that the public key, where one is told, is that of the peer that told it.
    ///
    /// # Errors
    /// [`IdentifyError::WrongKey`].
    pub fn check_key(&self, peer_id: &PeerId) -> Result<(), IdentifyError> {
        let Some(key) = &self.public_key else { return Ok(()) };
        match PublicKey::try_decode_protobuf(key) {
            Ok(key) if key.to_peer_id() == *peer_id => Ok(()),
            _ => Err(IdentifyError::WrongKey),
        }
    }
}

/// Why a message was not read or sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentifyError {
    /// It is longer than [`MAX_MESSAGE_BYTES`].
    TooLong,
    /// It is not what the protocol says.
    Malformed(&'static str),
    /// Its public key is not that of the peer.
    WrongKey,
    /// The stream failed or ended early.
    Io(io::Error),
}

impl fmt::Display for IdentifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the identify message is longer than {MAX_MESSAGE_BYTES} bytes"),
            Self::Malformed(what) => write!(f, "the identify message is malformed: {what}"),
            Self::WrongKey => f.write_str("the identify message names a public key of somebody else"),
            Self::Io(error) => write!(f, "the identify stream failed: {error}"),
        }
    }
}

impl std::error::Error for IdentifyError {}

impl From<io::Error> for IdentifyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests;
