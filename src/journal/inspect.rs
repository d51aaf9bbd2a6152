//! Looking at a journal without changing it: the same reading as at a start.

use super::batch::RecordRef;
use super::error::JournalError;
use super::folder::Folder;
use super::open;
use super::recover::{Recovered, Report};

/// Where a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dumped<'a> {
    /// It is a part of the snapshot, and not of a log.
    pub in_snapshot: bool,
    /// The record.
    pub record: RecordRef<'a>,
}

/// Reads everything, changes nothing, and says what a start would find.
///
/// # Errors
/// As a start: damage, another format, or what the kernel says.
pub async fn verify<F: Folder>(folder: &F) -> Result<Report, JournalError> {
    Ok(look(folder).await?.report)
}

/// Shows each record that a start would serve: those of the snapshot, then the newer ones by sequence.
///
/// # Errors
/// As [`verify`].
pub async fn dump<F: Folder>(folder: &F, mut show: impl FnMut(Dumped<'_>)) -> Result<Report, JournalError> {
    let recovered = look(folder).await?;
    recovered.snapshot_records().for_each(|record| show(Dumped { in_snapshot: true, record }));
    recovered.records().for_each(|record| show(Dumped { in_snapshot: false, record }));
    Ok(recovered.report)
}

async fn look<F: Folder>(folder: &F) -> Result<Recovered, JournalError> {
    let names = open::names(folder).await?;
    open::check_format(folder, &names, false).await?;
    Ok(open::read(folder, &names, false).await?.recovered)
}
