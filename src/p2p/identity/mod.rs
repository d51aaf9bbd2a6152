//! The key of a node: made, read from a file, shown as a peer id. The key itself is never printed.

mod file;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libp2p_identity::KeyType;

use super::{Keypair, PeerId, address};

/// Who this node is: one for the process, shared by every core. A clone is the same identity.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    keypair: Keypair,
    peer_id: PeerId,
    base58: Box<str>,
}

impl Identity {
    /// The identity of a key.
    pub fn new(keypair: Keypair) -> Self {
        let peer_id = keypair.public().to_peer_id();
        Self(Arc::new(Inner { keypair, peer_id, base58: peer_id.to_base58().into() }))
    }

    /// A new Ed25519 key that nothing keeps.
    pub fn ephemeral() -> Self {
        Self::new(Keypair::generate_ed25519())
    }

    /// Reads a private key: libp2p's protobuf encoding, in base64 or as bytes. Ed25519, secp256k1, ECDSA (P-256) and RSA
    /// keys are known.
    ///
    /// # Errors
    /// A sentence without its subject that says what is wrong, and nothing of what was read.
    pub fn from_private_key(content: &[u8]) -> Result<Self, String> {
        file::decode(content).map(Self::new)
    }

    /// The private key as [`Identity::from_private_key`] reads it, on one line.
    ///
    /// # Errors
    /// An RSA key, which cannot be written.
    pub fn to_private_key(&self) -> Result<String, String> {
        file::encode(&self.0.keypair)
    }

    /// Reads a key file that a person named; it blocks. Links are followed.
    ///
    /// # Errors
    /// There is no such file, others may read it, or it holds no private key.
    pub fn from_file(path: &Path) -> Result<Self, KeyFileError> {
        let wrong = |problem: String| KeyFileError { path: path.to_owned(), problem };
        file::read(path).map_err(wrong)?.ok_or_else(|| wrong("there is no such file".to_owned()))
    }

    /// Reads the key file of a data directory, where `None` says that there is none yet; it blocks. No link is followed.
    ///
    /// # Errors
    /// A sentence without its subject, as for [`Identity::from_file`].
    pub fn from_own_file(path: &Path) -> Result<Option<Self>, String> {
        file::read_own(path)
    }

    /// The key, to prove who this node is.
    pub fn keypair(&self) -> &Keypair {
        &self.0.keypair
    }

    /// Its peer id.
    pub fn peer_id(&self) -> PeerId {
        self.0.peer_id
    }

    /// The peer id in base58, as in `/p2p/ID` and in answers.
    pub fn base58(&self) -> &str {
        &self.0.base58
    }

    /// The peer id as CIDv1, `bafz…`.
    pub fn cid(&self) -> String {
        address::cid(&self.0.peer_id)
    }

    /// The kind of the key: `ed25519`, `secp256k1`, `ecdsa` or `rsa`.
    pub fn key_kind(&self) -> &'static str {
        match self.0.keypair.key_type() {
            KeyType::Ed25519 => "ed25519",
            KeyType::Secp256k1 => "secp256k1",
            KeyType::Ecdsa => "ecdsa",
            KeyType::RSA => "rsa",
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.base58()).finish()
    }
}

/// Why a key file was not read.
#[derive(Debug)]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and how to mend it.
    pub problem: String,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for KeyFileError {}

#[cfg(test)]
mod tests;
