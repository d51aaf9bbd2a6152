//! The ids of events: which stream of which session, and how far into it.

use std::fmt;

/// `TAG-STREAM-SEQUENCE`. The tag differs between sessions, so that an id of another one leads nowhere. Sequences begin
/// with 1; 0 stands before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    pub(crate) tag: u32,
    pub(crate) stream: u32,
    pub(crate) sequence: u64,
}

/// The longest id: 8 digits, 10, 20, and two dashes.
const MAX_BYTES: usize = 40;

impl EventId {
    /// The id in a `Last-Event-ID`; `None` for what this server cannot have given out.
    pub(crate) fn parse(header: &[u8]) -> Option<EventId> {
        if header.len() > MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(header).ok()?;
        let mut parts = text.splitn(3, '-');
        let tag = u32::from_str_radix(parts.next()?, 16).ok()?;
        let (stream, sequence) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let id = EventId { tag, stream, sequence };
        // One id has one spelling.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}-{}", self.tag, self.stream, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_and_have_one_spelling() {
        for id in [
            EventId { tag: 0, stream: 0, sequence: 0 },
            EventId { tag: u32::MAX, stream: u32::MAX, sequence: u64::MAX },
        ] {
            assert_eq!(EventId::parse(id.to_string().as_bytes()), Some(id));
            assert!(id.to_string().len() <= MAX_BYTES);
        }
        for bad in [
            "",
            "1",
            "00000001-1",
            "1-1-1",
            "00000001-01-1",
            "00000001-1-+1",
            "0000000A-1-1",
            "00000001-1-1 ",
        ] {
            assert_eq!(EventId::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(EventId::parse(&[b'1'; 100]), None);
    }
}
