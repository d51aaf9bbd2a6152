//! The files of one log: the segment that is written, and the next one, reserved ahead.

use std::sync::Arc;

use super::committer::Committer;
use super::error::JournalError;
use super::folder::{Folder, LogFile, is_full};
use super::header::{Header, Kind, VERSION};
use super::names::{LogId, Name};
use super::shared::{Journal, SegmentNote};

#[derive(Debug)]
pub(super) struct Segments<F: Folder> {
    folder: F,
    id: LogId,
    journal: Arc<Journal>,
    /// The number of the segment that is written.
    number: u32,
    file: F::File,
    spare: Option<F::File>,
}

impl<F: Folder> Segments<F> {
    /// Makes the first segment.
    pub(super) async fn start(
        folder: F,
        id: LogId,
        journal: Arc<Journal>,
        committer: &mut Committer,
    ) -> Result<Self, JournalError> {
        let name = Name::Segment(id, 1).to_string();
        let file = reserve(&folder, &name, journal.settings.segment_bytes).await?;
        let segments = Self { folder, id, journal, number: 1, file, spare: None };
        let salt = segments.begin(1, &segments.file, 0, 1).await?;
        committer.enter(salt);
        Ok(segments)
    }

    /// The segment that is written.
    pub(super) fn file(&self) -> &F::File {
        &self.file
    }

    pub(super) fn name(&self) -> String {
        Name::Segment(self.id, self.number).to_string()
    }

    pub(super) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Reserves the next segment; `false` when there is no room for it.
    pub(super) async fn reserve(&mut self) -> Result<bool, JournalError> {
        let name = Name::Segment(self.id, self.number + 1).to_string();
        match reserve(&self.folder, &name, self.journal.settings.segment_bytes).await {
            Ok(file) => {
                self.spare = Some(file);
                Ok(true)
            }
            Err(JournalError::Io { error, .. }) if is_full(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes on in the reserved segment, and gives its salt; `None` when there is none. The old segment is durable.
    pub(super) async fn roll(&mut self, base: u64, first_batch: u64) -> Result<Option<u64>, JournalError> {
        let Some(spare) = self.spare.take() else { return Ok(None) };
        let number = self.number + 1;
        let salt = self.begin(number, &spare, base, first_batch).await?;
        self.number = number;
        self.file = spare;
        Ok(Some(salt))
    }

    /// Writes the header of a segment. It is durable before any batch follows, so that none is ever without its salt.
    async fn begin(
        &self,
        segment: u32,
        file: &F::File,
        base: u64,
        first_batch: u64,
    ) -> Result<u64, JournalError> {
        let salt = self.journal.salt(self.id, segment);
        let (version, kind, id) = (VERSION, Kind::Segment, self.id);
        let reserved = self.journal.settings.segment_bytes;
        let header = Header { version, kind, id, segment, base, first_batch, salt, sequence: 0, reserved };
        let name = Name::Segment(id, segment).to_string();
        file.write_durably(header.encode(), 0).await.map_err(JournalError::io("write", &name))?;
        self.journal.note_segment(id.log, SegmentNote { number: segment, base, newest: 0 });
        Ok(salt)
    }
}

async fn reserve<F: Folder>(folder: &F, name: &str, bytes: u64) -> Result<F::File, JournalError> {
    let file = folder.create(name, bytes).await.map_err(JournalError::io("reserve", name))?;
    folder.sync().await.map_err(JournalError::io("sync", "."))?;
    Ok(file)
}
