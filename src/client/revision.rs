//! The revisions of the protocol that the client speaks.

use std::fmt;

/// A revision of the Model Context Protocol, ordered by its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05, with a session; over Streamable HTTP here, not over its own deprecated transport.
    V2024_11_05,
    /// 2025-03-26, with a session and batches.
    V2025_03_26,
    /// 2025-06-18, with a session.
    V2025_06_18,
    /// 2025-11-25, with a session.
    V2025_11_25,
    /// 2026-07-28, stateless.
    V2026_07_28,
}

impl Revision {
    /// Every revision, newest first.
    pub const ALL: &'static [Revision] = &[
        Revision::V2026_07_28,
        Revision::V2025_11_25,
        Revision::V2025_06_18,
        Revision::V2025_03_26,
        Revision::V2024_11_05,
    ];
    /// The newest revision that begins with `initialize`.
    pub const NEWEST_LEGACY: Revision = Revision::V2025_11_25;

    /// The revision's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Revision::V2024_11_05 => "2024-11-05",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision of that name.
    pub fn parse(name: &str) -> Option<Revision> {
        Self::ALL.iter().copied().find(|revision| revision.as_str() == name)
    }

    /// True where every request carries its version and there is no session: from 2026-07-28 on.
    pub fn is_modern(self) -> bool {
        self >= Revision::V2026_07_28
    }

    /// Whether requests after `initialize` name the revision in a header: from 2025-06-18 on.
    pub(crate) fn is_named_in_header(self) -> bool {
        self >= Revision::V2025_06_18
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.as_str()), Some(*revision));
        }
        assert!(Revision::ALL.is_sorted_by(|newer, older| newer > older));
        assert_eq!(Revision::parse("2025-11-26"), None);
        let modern: Vec<_> = Revision::ALL.iter().filter(|revision| revision.is_modern()).collect();
        assert_eq!(modern, [&Revision::V2026_07_28]);
    }
}
