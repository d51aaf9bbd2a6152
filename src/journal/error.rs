//! Why a journal cannot be opened, read or written.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a journal cannot be opened, read or written. Each is a sentence that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system refused something.
    Io {
        /// What was tried, as in "read".
        doing: &'static str,
        /// The file, or "." for the directory.
        name: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// What was durable is no longer whole. Nothing was changed.
    Damaged {
        /// The file.
        name: String,
        /// The byte of it at which the damage begins.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The directory has a format that this build does not read, or is none of ours.
    Format(String),
    /// The settings contradict each other.
    Settings(String),
    /// Another process has the journal open.
    Locked(String),
}

impl JournalError {
    pub(super) fn io(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let name = name.to_owned();
        move |error| Self::Io { doing, name, error }
    }

    pub(super) fn damaged(name: &str, offset: usize, why: impl Into<String>) -> Self {
        Self::Damaged { name: name.to_owned(), offset: offset as u64, why: why.into() }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, name, error } => write!(f, "the journal could not {doing} {name}: {error}"),
            Self::Damaged { name, offset, why } => write!(
                f,
                "the journal is damaged in {name} at byte {offset}: {why}. What was acknowledged may be lost, so nothing \
                 was changed or served; restore the directory from a copy, or start with --repair to set the damaged \
                 files aside and go on with what is whole"
            ),
            Self::Format(why) | Self::Settings(why) | Self::Locked(why) => f.write_str(why),
        }
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a record was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// No new segment can be reserved, and what is left is for records that cannot be refused. Nothing was written.
    DiskFull,
    /// Too many bytes wait to be written. Nothing was written; try again.
    Busy,
    /// The record is larger than `max_record_bytes`, which is in the error.
    TooLarge(usize),
    /// A write or an fsync failed. Whether the record is kept shows at the next start.
    Poisoned,
    /// The log has ended. Whether the record is kept shows at the next start, if it was taken at all.
    Closed,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskFull => f.write_str("the disk of the journal is full; make room and try again"),
            Self::Busy => f.write_str("too many changes wait for the journal; try again later"),
            Self::TooLarge(max) => {
                write!(f, "the change is too large for the journal: at most {max} bytes are allowed")
            }
            Self::Poisoned => f.write_str("the journal has stopped after a failed write"),
            Self::Closed => f.write_str("the journal has been closed"),
        }
    }
}

impl Error for AppendError {}
