//! Protocol revisions, and which era a message belongs to.

use crate::mcp::message::envelope::Message;
use crate::mcp::message::head::RequestHead;
use crate::mcp::message::method::MethodKind;

/// A protocol revision that this server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
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
    pub const ALL: &'static [Revision] =
        &[Revision::V2026_07_28, Revision::V2025_11_25, Revision::V2025_06_18];
    /// The newest revision that begins with `initialize`: the answer to a version that is not served.
    pub const NEWEST_LEGACY: Revision = Revision::V2025_11_25;

    /// The revision's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Revision::V2026_07_28 => "2026-07-28",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2025_06_18 => "2025-06-18",
        }
    }

    /// The served revision of that name.
    pub fn parse(name: &[u8]) -> Option<Revision> {
        Self::ALL.iter().copied().find(|revision| revision.as_str().as_bytes() == name)
    }

    /// True from 2026-07-28 on.
    pub fn is_modern(self) -> bool {
        self >= Revision::V2026_07_28
    }

    /// The era of the revision.
    pub fn era(self) -> Era {
        if self.is_modern() { Era::Modern } else { Era::Legacy }
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
        assert_eq!(Revision::parse(b"2025-03-26"), None);
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
