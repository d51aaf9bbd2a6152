//! Opening a journal: read everything, put the files in order, and begin a generation.

use std::sync::Arc;

use super::error::JournalError;
use super::folder::{Folder, LogFile};
use super::header::{VERSION, is_readable};
use super::mend::{self, Mend};
use super::names::{FORMAT, Name, TEMPORARY};
use super::recover::{self, Plan, Recovered};
use super::settings::Settings;
use super::shared::Journal;

/// What [`open`] gives.
#[derive(Debug)]
pub struct Opened {
    /// Everything that outlived the last process.
    pub recovered: Recovered,
    /// Where each core starts its log.
    pub journal: Arc<Journal>,
}

/// Recovers what the directory holds and makes it ready for new logs. Nobody else may have the directory open. It reads
/// everything since the last snapshot into memory.
///
/// # Errors
/// The directory is damaged, of another format, or cannot be read or written. Of a damaged one nothing is changed, unless
/// `settings.repair` says so.
pub async fn open<F: Folder>(folder: &F, settings: Settings) -> Result<Opened, JournalError> {
    settings.check().map_err(JournalError::Settings)?;
    let names = names(folder).await?;
    let is_new = check_format(folder, &names, settings.repair).await?;
    let Plan { recovered, mends, generation, kept } = read(folder, &names, settings.repair).await?;
    let leftovers = names.iter().filter(|name| name.ends_with(TEMPORARY)).cloned().map(Mend::Remove);
    mend::apply(folder, leftovers.collect(), settings.salt).await?;
    if is_new {
        write_format(folder).await?;
    }
    mend::apply(folder, mends, settings.salt).await?;
    let journal = Arc::new(Journal::new(settings, generation, kept));
    Ok(Opened { recovered, journal })
}

pub(super) async fn names<F: Folder>(folder: &F) -> Result<Vec<String>, JournalError> {
    folder.names().await.map_err(JournalError::io("list", "."))
}

/// Reads the files and holds them against each other.
pub(super) async fn read<F: Folder>(
    folder: &F,
    names: &[String],
    repair: bool,
) -> Result<Plan, JournalError> {
    let mut files = Vec::new();
    for (name, parsed) in names.iter().filter_map(|name| Some((name, Name::parse(name)?))) {
        files.push((parsed, read_file(folder, name).await?));
    }
    recover::plan(files, repair)
}

async fn read_file<F: Folder>(folder: &F, name: &str) -> Result<Vec<u8>, JournalError> {
    let file = folder.open(name).await.map_err(JournalError::io("open", name))?;
    file.read_all().await.map_err(JournalError::io("read", name))
}

/// Whether the directory is new; an error when it is of a format that this build does not read.
pub(super) async fn check_format<F: Folder>(
    folder: &F,
    names: &[String],
    repair: bool,
) -> Result<bool, JournalError> {
    if !names.iter().any(|name| name == FORMAT) {
        let is_new = !names.iter().any(|name| Name::parse(name).is_some());
        if is_new || repair {
            return Ok(true);
        }
        return Err(JournalError::damaged(FORMAT, 0, "the file that names the format is gone"));
    }
    let text = read_file(folder, FORMAT).await?;
    let version = std::str::from_utf8(&text).ok().and_then(|text| {
        text.strip_prefix("ringmesh journal format ")?.strip_suffix('\n')?.parse::<u16>().ok()
    });
    match version {
        Some(version) if is_readable(version) => Ok(false),
        Some(version) => Err(JournalError::Format(format!(
            "the journal has format {version}, which this build does not read; it reads format {VERSION}"
        ))),
        None if repair => Ok(true),
        None => Err(JournalError::damaged(FORMAT, 0, "it does not name a format of the journal")),
    }
}

/// Says which format the directory has, durably, before anything else is in it.
async fn write_format<F: Folder>(folder: &F) -> Result<(), JournalError> {
    let temporary = format!("{FORMAT}{TEMPORARY}");
    mend::put(folder, &temporary, format!("ringmesh journal format {VERSION}\n").into_bytes()).await?;
    folder.rename(&temporary, FORMAT).await.map_err(JournalError::io("rename", &temporary))?;
    folder.sync().await.map_err(JournalError::io("sync", "."))
}
