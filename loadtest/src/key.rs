//! What makes one call differ from all others.

/// Digits of a JSON-RPC id; fixed, so that every request has the same length.
pub(crate) const ID_DIGITS: usize = 10;
/// The smallest id.
pub(crate) const FIRST_ID: u64 = 1_000_000_000;
/// One past the largest id.
pub(crate) const ID_END: u64 = 10_000_000_000;
/// How much of a message differs from call to call; what follows is filler.
const MARK_BYTES: usize = 16;

/// What makes one call differ from all others: its id, and the mark at the start of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// The id as decimal digits.
    pub(crate) id: [u8; ID_DIGITS],
    mark: [u8; MARK_BYTES],
}

impl Key {
    /// The key of the call `id`, which is from [`FIRST_ID`] to below [`ID_END`].
    pub(crate) fn new(id: u64) -> Self {
        debug_assert!((FIRST_ID..ID_END).contains(&id));
        let mut digits = [0; ID_DIGITS];
        let mut rest = id;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // A finalizer of the splitmix kind: neighbouring ids get unlike messages.
        let mut mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 31;
        let mut mark = [0; MARK_BYTES];
        for (at, byte) in mark.iter_mut().enumerate() {
            *byte = b"0123456789abcdef"[(mixed >> (4 * at)) as usize & 15];
        }
        Self { id: digits, mark }
    }

    /// The id as a number.
    pub(crate) fn number(&self) -> u64 {
        self.id.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }

    /// The start of a message of `message_bytes`, as far as it differs from call to call.
    pub(crate) fn mark(&self, message_bytes: usize) -> &[u8] {
        &self.mark[..message_bytes.min(MARK_BYTES)]
    }

    /// The whole message, as a test expects it.
    #[cfg(test)]
    pub(crate) fn message(&self, message_bytes: usize) -> String {
        String::from_utf8([self.mark(message_bytes), &filler(message_bytes)].concat()).unwrap()
    }
}

/// What follows the mark in every message of so many bytes; it needs no JSON escape.
pub(crate) fn filler(message_bytes: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(message_bytes.saturating_sub(MARK_BYTES)).collect()
}

/// Where `needle` first stands in `hay`; for short texts off the hot path.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_in_id_and_message() {
        let (one, two) = (Key::new(FIRST_ID), Key::new(FIRST_ID + 1));
        assert_eq!(&one.id, b"1000000000");
        for message_bytes in [1, 15, 16, 17, 1000] {
            assert_eq!(one.message(message_bytes).len(), message_bytes);
        }
        assert_ne!(one.message(8), two.message(8));
        assert_eq!(one.message(30)[16..], two.message(30)[16..]);
    }
}
