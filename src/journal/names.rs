//! The names of the journal's files.

/// The file that says which format the directory has.
pub(super) const FORMAT: &str = "FORMAT";
/// Ends the name of a file that is being written and means nothing yet.
pub(super) const TEMPORARY: &str = ".tmp";
/// Ends the name of bytes that were cut off a log.
pub(super) const CUT: &str = ".cut";
/// Ends the name of a file that a repair has set aside.
pub(super) const DAMAGED: &str = ".damaged";

/// One log among all that were ever written: those of one start of the process share a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The start of the process that wrote it, from 1 on.
    pub generation: u32,
    /// Its number among the logs of that start, from 0 on.
    pub log: u32,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// A segment of a log, numbered from 1 on.
    Segment(LogId, u32),
    /// A snapshot of everything up to a sequence.
    Snapshot(u64),
}

impl Name {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let parsed = if let Some(rest) = name.strip_prefix("log-") {
            let mut parts = rest.strip_suffix(".seg")?.split('-').map(|part| u32::from_str_radix(part, 16));
            let id = LogId { generation: parts.next()?.ok()?, log: parts.next()?.ok()? };
            Self::Segment(id, parts.next()?.ok()?)
        } else {
            let digits = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?;
            Self::Snapshot(u64::from_str_radix(digits, 16).ok()?)
        };
        // Only the one spelling is ours; a copy that somebody made by hand is not.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(id, number) => {
                write!(f, "log-{:08x}-{:04x}-{number:08x}.seg", id.generation, id.log)
            }
            Self::Snapshot(sequence) => write!(f, "snapshot-{sequence:016x}.snap"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_no_others() {
        let segment = Name::Segment(LogId { generation: 7, log: 0x12 }, 300);
        assert_eq!(segment.to_string(), "log-00000007-0012-0000012c.seg");
        for name in [segment, Name::Snapshot(u64::MAX), Name::Snapshot(0)] {
            assert_eq!(Name::parse(&name.to_string()).unwrap(), name);
        }
        let others =
            ["FORMAT", "log-7-0-1.seg", "log-00000007-0012-0000012c.seg.damaged", "log-.seg", "log---.seg"];
        for other in others.into_iter().chain(["snapshot-.snap", "snapshot-+000000000000001.snap", ""]) {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
