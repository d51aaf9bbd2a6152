//! Short text without an allocation.

use std::fmt;

const INLINE: usize = 30;

/// Immutable text: up to 30 bytes inside the value, more on the heap.
#[derive(Clone)]
pub(crate) enum SmallText {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<str>),
}

impl SmallText {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            SmallText::Inline { len, bytes } => std::str::from_utf8(&bytes[..usize::from(*len)])
                .expect("invariant: the bytes were copied from a whole str"),
            SmallText::Heap(text) => text,
        }
    }
}

impl From<&str> for SmallText {
    fn from(text: &str) -> Self {
        if text.len() > INLINE {
            return SmallText::Heap(text.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        SmallText::Inline { len: text.len() as u8, bytes }
    }
}

impl fmt::Debug for SmallText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_on_both_sides_of_the_border() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 300] {
            let text = "x".repeat(len);
            assert_eq!(SmallText::from(text.as_str()).as_str(), text);
        }
        assert_eq!(SmallText::from("größer").as_str(), "größer");
    }
}
