//! Who does what among peers, decided by each of them alone and by all of them alike.
//!
//! No sockets and no clock of its own; what is computed here is the same on every peer, whatever program it runs.

mod clock;
mod owner;
mod peer_clock;
mod python;

pub use clock::{MAX_COUNT, MAX_NODE_ID_BYTES, MerkleClock};
pub use owner::{Owners, owner, task_hash};
pub use peer_clock::{ClockError, PeerClock};

use sha2::{Digest, Sha256};

/// The SHA-256 of a text, in lower-case hexadecimal digits.
pub fn sha256_hex(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_written_in_hexadecimal_digits() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256_hex("abc"), expected);
    }
}
