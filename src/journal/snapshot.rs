//! A snapshot: the state up to one sequence, written while changes go on. It lets the segments before it go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Record;
use super::batch::{self, BatchHead};
use super::error::JournalError;
use super::folder::{Folder, LogFile, is_full};
use super::header::{Header, Kind, VERSION};
use super::mend::{encode_all, fitting};
use super::names::{LogId, Name};
use super::shared::Journal;

/// In the first batch: where a log goes on.
pub(super) const CONTROL_POSITION: u8 = 1;
/// In the last batch: how many records the snapshot has.
pub(super) const CONTROL_TOTAL: u8 = 2;
/// The log number of snapshots: no log has it.
const NO_LOG: u32 = u32::MAX;
const CHUNK_BYTES: usize = 256 << 10;
const TEMPORARY_NAME: &str = "snapshot.tmp";

/// Where a log goes on behind a snapshot. `u64::MAX`: nothing of it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) id: LogId,
    pub(super) offset: u64,
}

/// A snapshot that is being written. One at a time; dropping it leaves the older one in force.
#[derive(Debug)]
pub struct Snapshot<F: Folder> {
    folder: F,
    file: F::File,
    journal: Arc<Journal>,
    header: Header,
    positions: Vec<Position>,
    number: u64,
    offset: u64,
    records: u64,
    newest: u64,
    _running: Running,
}

/// What a finished snapshot holds, and what it let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotReport {
    /// Every record up to it is covered.
    pub sequence: u64,
    /// Records in the snapshot.
    pub records: u64,
    /// Bytes of the snapshot.
    pub bytes: u64,
    /// Files that were covered and are gone.
    pub removed_files: u64,
}

/// Lets the next snapshot begin when this one ends.
#[derive(Debug)]
struct Running(Arc<Journal>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.snapshot_runs.store(false, Ordering::Release);
    }
}

impl Journal {
    /// Begins a snapshot of everything up to `sequence`: every record up to it must be durable and applied, on every core,
    /// and what is written into the snapshot must be what the state is now or later. A record carries the sequence of the
    /// last change that it holds.
    ///
    /// # Errors
    /// Another one is being written, or the file cannot be made. With no room on the disk the journal goes on without it;
    /// any other failure ends the journal.
    pub async fn begin_snapshot<F: Folder>(
        self: &Arc<Self>,
        folder: F,
        sequence: u64,
    ) -> Result<Snapshot<F>, JournalError> {
        if self.snapshot_runs.swap(true, Ordering::Acquire) {
            return Err(JournalError::Settings("another snapshot is being written".to_owned()));
        }
        let running = Running(Arc::clone(self));
        let positions = self.positions(sequence);
        let header =
            snapshot_header(sequence, self.generation, self.salt(no_log(self.generation), sequence as u32));

        let file = self.made(create(&folder, TEMPORARY_NAME).await)?;
        let (number, offset, records, newest) = (1, 0, 0, sequence);
        let journal = Arc::clone(self);
        let mut snapshot = Snapshot {
            folder,
            file,
            journal,
            header,
            positions,
            number,
            offset,
            records,
            newest,
            _running: running,
        };
        let first = first_bytes(&header, &snapshot.positions);
        snapshot.number += 1;
        snapshot.write(first).await?;
        Ok(snapshot)
    }

    /// A full disk costs a snapshot; whatever else fails ends the journal, as in a log.
    fn made<T>(&self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        result.inspect_err(|error| match error {
            JournalError::Io { error, .. } if is_full(error) => {}
            error => self.poison.set(error.to_string()),
        })
    }
}

impl<F: Folder> Snapshot<F> {
    /// Writes a part of the state. Between two parts changes may go on.
    ///
    /// # Errors
    /// As [`Journal::begin_snapshot`]; the snapshot is then useless.
    pub async fn write_chunk(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut rest = records;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(fitting(rest, CHUNK_BYTES));
            self.records += part.len() as u64;
            self.newest = part.iter().map(|record| record.sequence).fold(self.newest, u64::max);
            self.write_batch(part, false).await?;
            rest = after;
        }
        Ok(())
    }

    /// Makes the snapshot the one that recovery begins with, and removes what it covers.
    ///
    /// # Errors
    /// As [`Journal::begin_snapshot`].
    pub async fn finish(mut self) -> Result<SnapshotReport, JournalError> {
        self.write_batch(&[total(self.newest, self.records)], true).await?;
        let (temporary, name) = (TEMPORARY_NAME, Name::Snapshot(self.header.sequence).to_string());
        let synced = self.file.sync_data().await.map_err(JournalError::io("sync", temporary));
        self.journal.made(synced)?;
        let renamed =
            self.folder.rename(temporary, &name).await.map_err(JournalError::io("rename", temporary));
        self.journal.made(renamed)?;
        let synced = self.folder.sync().await.map_err(JournalError::io("sync", "."));
        // The new name may or may not be there after a crash: nothing can be said of it any more.
        let settled = synced.inspect_err(|error| self.journal.poison.set(error.to_string()));
        settled?;
        let removed = self.remove_covered(&name).await;
        let removed_files = self.journal.made(removed)?;
        let Self { header, records, offset, .. } = self;
        Ok(SnapshotReport { sequence: header.sequence, records, bytes: offset, removed_files })
    }

    async fn write_batch(&mut self, records: &[Record], last: bool) -> Result<(), JournalError> {
        let head = BatchHead { id: self.header.id, number: self.number, durable: 0, last };
        let mut bytes = Vec::new();
        batch::encode(&mut bytes, &head, self.header.salt, records.iter());
        self.number += 1;
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), JournalError> {
        let len = bytes.len() as u64;
        let failed = JournalError::io("write", TEMPORARY_NAME);
        let written = self.file.write_at(bytes, self.offset).await.map_err(failed);
        self.journal.made(written)?;
        self.offset += len;
        Ok(())
    }

    /// Removes the segments and snapshots that this one makes superfluous. The snapshot's name is durable.
    async fn remove_covered(&self, own: &str) -> Result<u64, JournalError> {
        let mut names = self.journal.take_covered(&self.positions);
        let all = self.folder.names().await.map_err(JournalError::io("list", "."))?;
        names.extend(all.into_iter().filter(|name| match Name::parse(name) {
            Some(Name::Segment(id, _)) => id.generation < self.journal.generation,
            Some(Name::Snapshot(_)) => name != own,
            None => false,
        }));
        for name in &names {
            self.folder.remove(name).await.map_err(JournalError::io("remove", name))?;
        }
        self.folder.sync().await.map_err(JournalError::io("sync", "."))?;
        self.journal.forget_former();
        Ok(names.len() as u64)
    }
}

/// A whole snapshot, as bytes.
pub(super) fn encode(
    sequence: u64,
    generation: u32,
    positions: &[Position],
    records: &[Record],
    salt: u64,
) -> Vec<u8> {
    let header = snapshot_header(sequence, generation, salt);
    let mut bytes = first_bytes(&header, positions);
    let number = encode_all(&mut bytes, &header, 2, records);
    let newest = records.iter().map(|record| record.sequence).fold(sequence, u64::max);
    let head = BatchHead { id: header.id, number, durable: 0, last: true };
    let mut last = Vec::new();
    batch::encode(&mut last, &head, salt, [total(newest, records.len() as u64)].iter());
    bytes.extend_from_slice(&last);
    bytes
}

fn snapshot_header(sequence: u64, generation: u32, salt: u64) -> Header {
    let (version, kind, id) = (VERSION, Kind::Snapshot, no_log(generation));
    Header { version, kind, id, segment: 0, base: 0, first_batch: 1, salt, sequence, reserved: 0 }
}

/// The header and the first batch, which says where each log goes on.
fn first_bytes(header: &Header, positions: &[Position]) -> Vec<u8> {
    let records: Vec<Record> = positions
        .iter()
        .map(|Position { id, offset }| {
            let mut bytes = id.generation.to_le_bytes().to_vec();
            bytes.extend_from_slice(&id.log.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
            Record { sequence: 0, kind: CONTROL_POSITION, bytes }
        })
        .collect();
    let head = BatchHead { id: header.id, number: 1, durable: 0, last: false };
    let (mut bytes, mut first) = (header.encode(), Vec::new());
    batch::encode(&mut first, &head, header.salt, records.iter());
    bytes.extend_from_slice(&first);
    bytes
}

fn total(newest: u64, records: u64) -> Record {
    Record { sequence: newest, kind: CONTROL_TOTAL, bytes: records.to_le_bytes().to_vec() }
}

fn no_log(generation: u32) -> LogId {
    LogId { generation, log: NO_LOG }
}

async fn create<F: Folder>(folder: &F, name: &str) -> Result<F::File, JournalError> {
    match folder.remove(name).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(JournalError::io("remove", name)(error));
        }
        _ => {}
    }
    folder.create(name, 0).await.map_err(JournalError::io("create", name))
}
