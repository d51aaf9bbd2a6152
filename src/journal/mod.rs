//! The journal room: a durable log of opaque records. It knows nothing of tasks.
//!
//! A change is a [`Record`] with a sequence that is unique in the whole process. Each core appends to a [`Log`] of its
//! own; one [`Driver`] a log writes everything that waits as one batch, makes it durable with one fdatasync, and only then
//! tells everybody who waits. `docs/journal.md` has the format byte by byte, and what each mode can lose.
//!
//! The main path: [`open`] (recovery) → [`Journal::start_log`] → [`Log::append`] → [`Driver::run`] → the future that
//! `append` gave is ready.
//!
//! - `header.rs`, `batch.rs`, `names.rs`: the format.
//! - `committer.rs`: group commit as a pure state machine; `log.rs` and `driver.rs` are its shell.
//! - `segments.rs`: the files of one log, reserved ahead.
//! - `scan.rs`, `recover.rs`: what the files say, pure; `mend.rs` puts the files in order after a crash.
//! - `snapshot.rs`: the state up to one sequence; it lets covered segments go.
//! - `inspect.rs`: `verify` and `dump`, over the same code.
//! - `folder.rs`: what is asked of a file system. The real one is [`crate::runtime::log_file`]; `sim/` is one that crashes.

mod batch;
mod committer;
mod driver;
mod error;
mod folder;
mod header;
mod inspect;
mod log;
mod mend;
mod names;
mod open;
mod poison;
mod recover;
mod scan;
mod segments;
mod settings;
mod shared;
#[cfg(test)]
mod sim;
mod snapshot;

pub use batch::RecordRef;
pub use driver::Driver;
pub use error::{AppendError, JournalError};
pub use folder::{Folder, LogFile, is_full};
pub use inspect::{Dumped, dump, verify};
pub use log::{Durable, Log};
pub use names::LogId;
pub use open::{Opened, open};
pub use poison::{Poison, Poisoned};
pub use recover::{Recovered, Report};
pub use settings::{Mode, Settings};
pub use shared::{Counts, Journal};
pub use snapshot::{Snapshot, SnapshotReport};

/// A change to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place among all changes of the process, in every log. No other record ever has it.
    pub sequence: u64,
    /// What it is. The journal hands it back as it was, and does not care.
    pub kind: u8,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl RecordRef<'_> {
    /// A copy of the record that owns its bytes.
    pub fn to_record(&self) -> Record {
        Record { sequence: self.sequence, kind: self.kind, bytes: self.bytes.to_vec() }
    }
}
