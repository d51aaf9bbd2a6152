//! What recovery does to the files: leftovers go, broken ends are cut and kept aside, damaged files are written anew.

use super::Record;
use super::batch::{self, BatchHead, record_bytes};
use super::error::JournalError;
use super::folder::{Folder, LogFile};
use super::header::{Header, Kind, SECTOR, VERSION};
use super::names::{CUT, DAMAGED, LogId, Name, TEMPORARY};
use super::snapshot::{self, Position};

/// Kept-aside pieces beyond this many are removed, those of the oldest starts first.
const MAX_CUTS: usize = 64;
/// Bytes of records in a batch that is written anew.
const BATCH_BYTES: usize = 1 << 20;

/// The end of a log that a crash left in pieces, or that was reserved and never used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) name: String,
    /// The bytes of the file that stay.
    pub(super) keep: u64,
    /// The bytes that are kept aside.
    pub(super) aside: Vec<u8>,
}

impl Cut {
    pub(super) fn aside_bytes(&self) -> u64 {
        self.aside.len() as u64
    }
}

/// One change to the files. A crash between any two leaves what recovery takes up again.
#[derive(Debug)]
pub(super) enum Mend {
    Remove(String),
    Cut(Cut),
    /// A damaged log's whole batches, as a log of its own.
    Rewrite {
        id: LogId,
        records: Vec<Record>,
    },
    /// A damaged snapshot's whole chunks, in its place.
    RewriteSnapshot {
        sequence: u64,
        generation: u32,
        positions: Vec<Position>,
        records: Vec<Record>,
    },
    SetAside(String),
}

/// Does all of it, and makes it durable.
pub(super) async fn apply<F: Folder>(folder: &F, mends: Vec<Mend>, salt: u64) -> Result<(), JournalError> {
    if mends.is_empty() {
        return Ok(());
    }
    for mend in mends {
        match mend {
            Mend::Remove(name) => folder.remove(&name).await.map_err(JournalError::io("remove", &name))?,
            Mend::Cut(cut) => apply_cut(folder, cut).await?,
            Mend::Rewrite { id, records } => rewrite(folder, id, &records, salt).await?,
            Mend::RewriteSnapshot { sequence, generation, positions, records } => {
                let name = Name::Snapshot(sequence).to_string();
                let bytes = snapshot::encode(sequence, generation, &positions, &records, salt);
                let temporary = format!("{name}{TEMPORARY}");
                put(folder, &temporary, bytes).await?;
                set_aside(folder, &name).await?;
                folder.rename(&temporary, &name).await.map_err(JournalError::io("rename", &temporary))?;
            }
            Mend::SetAside(name) => set_aside(folder, &name).await?,
        }
    }
    folder.sync().await.map_err(JournalError::io("sync", "."))
}

async fn apply_cut<F: Folder>(folder: &F, cut: Cut) -> Result<(), JournalError> {
    if !cut.aside.is_empty() {
        put(folder, &format!("{}.{}{CUT}", cut.name, cut.keep), cut.aside).await?;
        forget_old_cuts(folder).await?;
        // The pieces are safe before they go from the log.
        folder.sync().await.map_err(JournalError::io("sync", "."))?;
    }
    let file = folder.open(&cut.name).await.map_err(JournalError::io("open", &cut.name))?;
    file.set_len(cut.keep).await.map_err(JournalError::io("cut", &cut.name))?;
    file.sync_data().await.map_err(JournalError::io("sync", &cut.name))
}

async fn forget_old_cuts<F: Folder>(folder: &F) -> Result<(), JournalError> {
    let mut names = folder.names().await.map_err(JournalError::io("list", "."))?;
    names.retain(|name| name.ends_with(CUT));
    names.sort_unstable();
    for name in names.iter().take(names.len().saturating_sub(MAX_CUTS)) {
        folder.remove(name).await.map_err(JournalError::io("remove", name))?;
    }
    Ok(())
}

/// Writes a whole file durably; a leftover of the same name is replaced.
pub(super) async fn put<F: Folder>(folder: &F, name: &str, bytes: Vec<u8>) -> Result<(), JournalError> {
    match folder.remove(name).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(JournalError::io("remove", name)(error));
        }
        _ => {}
    }
    let file = folder.create(name, 0).await.map_err(JournalError::io("create", name))?;
    file.write_durably(bytes, 0).await.map_err(JournalError::io("write", name))?;
    Ok(())
}

async fn set_aside<F: Folder>(folder: &F, name: &str) -> Result<(), JournalError> {
    // What was written in its place has to be there first.
    folder.sync().await.map_err(JournalError::io("sync", "."))?;
    folder.rename(name, &format!("{name}{DAMAGED}")).await.map_err(JournalError::io("rename", name))
}

async fn rewrite<F: Folder>(
    folder: &F,
    id: LogId,
    records: &[Record],
    salt: u64,
) -> Result<(), JournalError> {
    let header = Header {
        version: VERSION,
        kind: Kind::Segment,
        id,
        segment: 1,
        base: 0,
        first_batch: 1,
        salt,
        sequence: 0,
        reserved: 0,
    };
    let mut bytes = header.encode();
    encode_all(&mut bytes, &header, 1, records);
    put(folder, &Name::Segment(id, 1).to_string(), bytes).await
}

/// Appends batches of these records to a file's bytes, and gives the number of the next batch.
pub(super) fn encode_all(bytes: &mut Vec<u8>, header: &Header, first: u64, records: &[Record]) -> u64 {
    let (mut rest, mut number, mut buffer) = (records, first, Vec::new());
    while !rest.is_empty() {
        let count = fitting(rest, BATCH_BYTES);
        let durable = header.base + bytes.len().max(SECTOR) as u64;
        let head = BatchHead { id: header.id, number, durable, last: false };
        batch::encode(&mut buffer, &head, header.salt, rest[..count].iter());
        bytes.extend_from_slice(&buffer);
        number += 1;
        rest = &rest[count..];
    }
    number
}

/// How many records from the first on make a batch of about this size; one at least.
pub(super) fn fitting(records: &[Record], bytes: usize) -> usize {
    let mut sum = 0;
    let sizes = records.iter().map(|record| record_bytes(record.bytes.len()));
    sizes
        .take_while(|size| {
            sum += size;
            sum <= bytes
        })
        .count()
        .max(1)
}
