//! What a peer may do: being connected is no permission.

use std::collections::HashSet;
use std::fmt;
use std::hint::black_box;

use sha2::{Digest, Sha256};

use super::{PeerId, Remote, Via};

/// A longer text is not even looked at; the setting allows 1,024 characters of at most four bytes.
const MAX_TOKEN_BYTES: usize = 4_096;

/// Who may change state, as the operator configured it.
///
/// Full access has a peer that is on this machine, one whose id is allowed by name, one that shows the shared token, and
/// with `open` everyone. Everybody else may read.
///
/// A peer is on this machine when it came to a listener on a loopback address, or when this node dialled it at one:
/// which side dialled says nothing about who the peer is, and connections are used in both directions. A peer that was
/// dialled anywhere else is treated as one that came from there; that it was worth dialling is no permission.
#[derive(Clone, Default)]
pub struct Policy {
    open: bool,
    token: Option<[u8; 32]>,
    allowed: HashSet<PeerId>,
}

impl Policy {
    /// A policy: `open` gives every peer full access, `token` to those who show it, `allowed` to these ids. An empty
    /// token is none.
    pub fn new(open: bool, token: Option<&str>, allowed: impl IntoIterator<Item = PeerId>) -> Policy {
        let token = token.filter(|token| !token.is_empty()).map(digest);
        Policy { open, token, allowed: allowed.into_iter().collect() }
    }

    /// Whether the peer has full access, with what it shows for the shared token.
    pub fn access(&self, remote: &Remote, token: Option<&str>) -> bool {
        self.open || is_here(remote) || self.allowed.contains(&remote.peer_id) || self.matches(token)
    }

    /// Whether a shared token is configured.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether this is the shared token. Takes the same time for every token of the same length.
    pub fn matches(&self, token: Option<&str>) -> bool {
        match (&self.token, token) {
            (Some(expected), Some(token)) if token.len() <= MAX_TOKEN_BYTES => same(expected, &digest(token)),
            _ => false,
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("open", &self.open)
            .field("token", &self.token.map(|_| "(hidden)"))
            .field("allowed", &self.allowed)
            .finish()
    }
}

fn is_here(remote: &Remote) -> bool {
    match remote.via {
        Via::Loopback => true,
        Via::Beyond => false,
        Via::Dialled => remote.address.ip().to_canonical().is_loopback(),
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Compares digests without stopping at the first difference.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| black_box(different | (a ^ b)));
    different == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn remote(via: Via, address: &str) -> Remote {
        let peer_id = PeerId::random();
        let principal = peer_id.to_base58().into();
        Remote { peer_id, principal, address: address.parse().unwrap(), via }
    }

    #[test]
    fn who_is_on_this_machine_may_change_state() {
        let policy = Policy::default();
        for (via, address, full) in [
            (Via::Loopback, "127.0.0.1:1", true),
            (Via::Beyond, "192.0.2.1:1", false),
            // A loopback address says nothing where the listener takes everybody: a forwarder may be behind it.
            (Via::Beyond, "127.0.0.1:1", false),
            (Via::Dialled, "192.0.2.1:1", false),
            (Via::Dialled, "127.0.0.1:1", true),
            (Via::Dialled, "[::1]:1", true),
            (Via::Dialled, "[::ffff:127.0.0.1]:1", true),
        ] {
            assert_eq!(policy.access(&remote(via, address), None), full, "{via:?} {address}");
        }
    }

    #[test]
    fn others_need_the_token_or_an_allowed_id_or_an_open_node() {
        let (known, stranger) = (remote(Via::Beyond, "192.0.2.1:1"), remote(Via::Beyond, "192.0.2.1:1"));
        let policy = Policy::new(false, Some("s3cret"), [known.peer_id]);
        assert!(policy.access(&known, None));
        assert!(policy.access(&stranger, Some("s3cret")));
        for token in [None, Some(""), Some("s3cre"), Some("s3cret "), Some("S3CRET")] {
            assert!(!policy.access(&stranger, token), "{token:?}");
        }
        assert!(Policy::new(true, None, []).access(&stranger, None));
        let without = Policy::new(false, Some(""), []);
        assert!(!without.has_token() && !without.access(&stranger, Some("")));
        assert!(!format!("{policy:?}").contains("s3cret"));
    }

    #[test]
    fn a_token_of_absurd_length_matches_nothing() {
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        assert!(!Policy::new(false, Some(&long), []).matches(Some(&long)));
    }
}
