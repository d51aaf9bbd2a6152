//! Sealing a call's memory into the text of a `requestState`, and opening it again.
//!
//! XChaCha20-Poly1305 with a random nonce of 192 bits, so that any number of processes may share a key. The text is
//! base64url of: a version byte, the nonce, the sealed bytes. Sealed are the expiry and the memory; the request and its
//! principal are bound to it as associated data.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::limits::Limit;
use crate::mcp::ask::keys::RequestStateKeys;
use crate::mcp::ask::memory::Memory;
use crate::mcp::serve::options::McpOptions;

const VERSION: u8 = 1;
pub(crate) const NONCE_BYTES: usize = 24;

/// What tells one state from every other.
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// Seals and opens the states of one server.
pub(crate) struct Sealer {
    current: XChaCha20Poly1305,
    previous: Option<XChaCha20Poly1305>,
    max_bytes: usize,
    ttl_ms: u64,
    clock: fn() -> SystemTime,
}

/// A state that was made by this server for this request, and has not expired.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) memory: Memory,
    pub(crate) nonce: Nonce,
    /// Milliseconds since 1970.
    pub(crate) expires_ms: u64,
}

/// Why a memory cannot be sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    /// It takes so many bytes, and `max` are allowed.
    TooLarge { bytes: usize, max: usize },
    /// The system's random source failed.
    Random,
}

/// Why a state is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It was altered, or made for another request, principal or server.
    Invalid,
    /// It is too old.
    Expired,
}

impl Sealer {
    pub(crate) fn new(keys: &RequestStateKeys, options: &McpOptions) -> Sealer {
        let cipher = |key: &[u8; 32]| XChaCha20Poly1305::new(key.into());
        let limits = &options.limits;
        Sealer {
            current: cipher(keys.current()),
            previous: keys.previous().map(cipher),
            max_bytes: usize::try_from(limits.value(Limit::RequestStateBytes)).unwrap_or(usize::MAX),
            ttl_ms: limits.value(Limit::RequestStateTime),
            clock: options.clock,
        }
    }

    /// Seals a memory for the request that `binding` names.
    pub(crate) fn seal(&self, memory: &Memory, binding: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let expires_ms = self.now_ms().saturating_add(self.ttl_ms);
        let mut plain = expires_ms.to_le_bytes().to_vec();
        memory.write(&mut plain);
        let payload = Payload { msg: &plain, aad: binding };
        let sealed = self
            .current
            .encrypt(&XNonce::from(nonce), payload)
            .expect("invariant: a memory is far smaller than what the cipher takes");
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        match text.len() > self.max_bytes {
            true => Err(SealError::TooLarge { bytes: text.len(), max: self.max_bytes }),
            false => Ok(text),
        }
    }

    /// Opens a state that came with the request that `binding` names. Both keys are tried whatever the first says.
    pub(crate) fn open(&self, text: &str, binding: &[u8]) -> Result<Opened, OpenError> {
        if text.len() > self.max_bytes {
            return Err(OpenError::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| OpenError::Invalid)?;
        let (VERSION, rest) =
            bytes.split_first().map(|(first, rest)| (*first, rest)).ok_or(OpenError::Invalid)?
        else {
            return Err(OpenError::Invalid);
        };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Invalid)?;
        let open = |cipher: &XChaCha20Poly1305| {
            cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: binding }).ok()
        };
        let by_current = open(&self.current);
        let by_previous = self.previous.as_ref().and_then(open);
        let plain = by_current.or(by_previous).ok_or(OpenError::Invalid)?;
        let (expires_ms, memory) = plain.split_first_chunk::<8>().ok_or(OpenError::Invalid)?;
        let expires_ms = u64::from_le_bytes(*expires_ms);
        if self.now_ms() >= expires_ms {
            return Err(OpenError::Expired);
        }
        let memory = Memory::read(memory).ok_or(OpenError::Invalid)?;
        Ok(Opened { memory, nonce: *nonce, expires_ms })
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    static NOW_MS: AtomicU64 = AtomicU64::new(1_000_000);

    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(NOW_MS.load(Ordering::SeqCst))
    }

    fn sealer(keys: &RequestStateKeys, change: impl FnOnce(&mut McpOptions)) -> Sealer {
        let mut options = McpOptions::default();
        change(&mut options);
        Sealer::new(keys, &options)
    }

    fn keys(byte: u8) -> RequestStateKeys {
        RequestStateKeys::new([byte; 32], None)
    }

    fn memory(bytes: usize) -> Memory {
        let mut memory = Memory::default();
        memory.done.insert("k".into(), "x".repeat(bytes));
        memory
    }

    #[test]
    fn a_state_opens_for_its_own_request_only() {
        let sealer = sealer(&keys(1), |_| {});
        let text = sealer.seal(&memory(10), b"a").unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(sealer.open(&text, b"a").unwrap().memory, memory(10));
        assert_eq!(sealer.open(&text, b"b").unwrap_err(), OpenError::Invalid);
        assert_ne!(text, sealer.seal(&memory(10), b"a").unwrap());
    }

    #[test]
    fn any_change_is_seen() {
        let sealer = sealer(&keys(1), |_| {});
        let text = sealer.seal(&memory(3), b"a").unwrap();
        for at in 0..text.len() {
            for replacement in [b'A', b'B', b'_', b'=', b'!'] {
                let mut changed = text.clone().into_bytes();
                if changed[at] == replacement {
                    continue;
                }
                changed[at] = replacement;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(sealer.open(&changed, b"a").unwrap_err(), OpenError::Invalid, "{at}");
            }
            assert!(sealer.open(&text[..at], b"a").is_err(), "cut at {at}");
        }
        for longer in [format!("{text}A"), format!("A{text}"), format!("{text}=="), "x".repeat(1 << 20)] {
            assert!(sealer.open(&longer, b"a").is_err());
        }
    }

    #[test]
    fn a_rotation_keeps_the_key_before_it_and_no_more() {
        let first = keys(1);
        let second = first.rotated().unwrap();
        let third = second.rotated().unwrap();
        let text = sealer(&first, |_| {}).seal(&memory(3), b"a").unwrap();
        assert!(sealer(&second, |_| {}).open(&text, b"a").is_ok());
        assert_eq!(sealer(&third, |_| {}).open(&text, b"a").unwrap_err(), OpenError::Invalid);
        let newer = sealer(&second, |_| {}).seal(&memory(3), b"a").unwrap();
        assert!(sealer(&first, |_| {}).open(&newer, b"a").is_err());
    }

    #[test]
    fn a_state_expires_to_the_millisecond() {
        let sealer = sealer(&keys(1), |options| {
            options.clock = clock;
            options.limits.request_state_ttl_ms = 500;
        });
        let text = sealer.seal(&memory(3), b"a").unwrap();
        NOW_MS.fetch_add(499, Ordering::SeqCst);
        let opened = sealer.open(&text, b"a").unwrap();
        assert_eq!(opened.expires_ms, 1_000_500);
        NOW_MS.fetch_add(1, Ordering::SeqCst);
        assert_eq!(sealer.open(&text, b"a").unwrap_err(), OpenError::Expired);
    }

    #[test]
    fn the_size_is_bounded_to_the_byte() {
        let sealer = sealer(&keys(1), |_| {});
        // Version, nonce, tag, expiry, tag of the entry, key, and the length of a text in three bytes: 12288 in all.
        let most = 16_384 / 4 * 3 - (1 + NONCE_BYTES + 16) - 8 - 1 - 2 - 2;
        assert_eq!(sealer.seal(&memory(most), b"a").unwrap().len(), 16_384);
        let error = sealer.seal(&memory(most + 1), b"a").unwrap_err();
        assert_eq!(error, SealError::TooLarge { bytes: 16_386, max: 16_384 });
    }
}
