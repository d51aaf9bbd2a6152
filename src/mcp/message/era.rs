//! Protocol revisions, and which era a message belongs to.

use std::fmt;

use crate::mcp::message::envelope::Message;
use crate::mcp::message::head::RequestHead;
use crate::mcp::message::method::MethodKind;

/// A revision of the Model Context Protocol that server and client speak, ordered by its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05, with a session; its own transport is HTTP+SSE.
    V2024_11_05,
    /// 2025-03-26, with a session; the only revision with batches.
    V2025_03_26,
    /// 2025-06-18, with a session.
    V2025_06_18,
    /// 2025-11-25, with a session.
    V2025_11_25,
    /// 2026-07-28, stateless.
    V2026_07_28,
}

/// How a message is answered: statelessly, or within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// The message was refused before its era was known.
    Unknown,
    /// 2026-07-28 and later: every request carries its version and capabilities.
    Modern,
    /// 2025-11-25 and earlier: a session that begins with `initialize`.
    Legacy,
}

impl Era {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Era::Unknown => "unknown",
            Era::Modern => "modern",
            Era::Legacy => "legacy",
        }
    }
}

impl Revision {
    /// Every revision served, newest first.
    pub const ALL: &'static [Revision] = &[
        Revision::V2026_07_28,
        Revision::V2025_11_25,
        Revision::V2025_06_18,
        Revision::V2025_03_26,
        Revision::V2024_11_05,
    ];
    /// The newest revision that begins with `initialize`: the answer to a version that is not served.
    pub const NEWEST_LEGACY: Revision = Revision::V2025_11_25;

    /// The revision's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Revision::V2026_07_28 => "2026-07-28",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2024_11_05 => "2024-11-05",
        }
    }

    /// The revision of that name.
    pub fn parse(name: impl AsRef<[u8]>) -> Option<Revision> {
        Self::ALL.iter().copied().find(|revision| revision.as_str().as_bytes() == name.as_ref())
    }

    /// True from 2026-07-28 on.
    pub fn is_modern(self) -> bool {
        self >= Revision::V2026_07_28
    }

    /// True where clients may send several messages in one array (2025-03-26, "Batching"). 2024-11-05 knows one message
    /// a request only: its text and schema name no array.
    pub fn has_batches(self) -> bool {
        self == Revision::V2025_03_26
    }

    /// True where requests after `initialize` name the revision in a header: from 2025-06-18 on.
    pub(crate) fn is_named_in_header(self) -> bool {
        self >= Revision::V2025_06_18
    }

    /// True where a stream begins with an event that has an id and no data (2025-11-25, "Sending Messages to the
    /// Server"); clients of older revisions would read the empty data as a message.
    pub fn primes_streams(self) -> bool {
        self == Revision::V2025_11_25
    }

    /// The era of the revision.
    pub fn era(self) -> Era {
        if self.is_modern() { Era::Modern } else { Era::Legacy }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// True for the name of 2026-07-28 or of a later revision, served or not.
pub(crate) fn is_modern_name(name: &[u8]) -> bool {
    let dated = name.len() == 10
        && name.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    // Dates in this form sort as text.
    dated && name >= Revision::V2026_07_28.as_str().as_bytes()
}

/// The era of a message: modern if the header names a modern version, if `_meta` carries a version, or if the
/// method exists only there; all else, `initialize` included, is legacy.
pub(crate) fn select(head: &RequestHead<'_>, message: &Message<'_>, method: MethodKind) -> Era {
    let modern = head.protocol_version.is_some_and(is_modern_name)
        || message.params.meta.protocol_version.is_some()
        || matches!(method, MethodKind::ServerDiscover | MethodKind::SubscriptionsListen);
    if modern { Era::Modern } else { Era::Legacy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_of_the_revisions() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.as_str().as_bytes()), Some(*revision));
        }
        assert!(Revision::ALL.is_sorted_by(|newer, older| newer > older));
        assert_eq!(Revision::parse(b"2024-10-07"), None);
    }

    #[test]
    fn modern_names_are_dates_from_2026_07_28_on() {
        for name in ["2026-07-28", "2026-12-01", "2100-01-01"] {
            assert!(is_modern_name(name.as_bytes()), "{name}");
        }
        for name in ["2025-11-25", "2026-07-2", "DRAFT-2026", "2026/07/28", "", "2026-07-280"] {
            assert!(!is_modern_name(name.as_bytes()), "{name}");
        }
    }
}
