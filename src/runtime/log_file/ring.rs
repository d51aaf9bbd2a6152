//! The journal's files through the ring of the core that opened them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use glommio::io::{BufferedFile, OpenOptions};

use super::JournalFolder;
use crate::journal::{Folder, LogFile};
use crate::runtime::file::sync_directory;

/// Bytes that one operation hands to the ring at most.
const CHUNK_BYTES: usize = 1 << 20;

/// A file of the journal, on the core that opened it.
#[derive(Debug)]
pub struct JournalFile {
    file: BufferedFile,
    /// The same file; what is written here is on the medium when the write ends.
    durable: BufferedFile,
}

impl JournalFile {
    async fn open(path: &Path, create: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(create).mode(0o600);
        let file = options.buffered_open(path).await?;
        options.create_new(false).custom_flags(libc::O_DSYNC);
        Ok(Self { file, durable: options.buffered_open(path).await? })
    }

    /// Reserves the place of the file's first bytes, which read as zeros. Only a file system that cannot do it, such as an
    /// old one, is asked for the length alone.
    async fn reserve(&self, bytes: u64) -> io::Result<()> {
        match self.file.pre_allocate(bytes, false).await {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => self.set_len(bytes).await,
            Err(error) => Err(error.into()),
        }
    }
}

impl Folder for JournalFolder {
    type File = JournalFile;

    async fn names(&self) -> io::Result<Vec<String>> {
        // A few names, most of them cached: no reason for a trip through a thread.
        self.list()
    }

    async fn create(&self, name: &str, bytes: u64) -> io::Result<JournalFile> {
        let path = self.at(name);
        let file = JournalFile::open(&path, true).await?;
        if bytes > 0
            && let Err(error) = file.reserve(bytes).await
        {
            drop(file);
            glommio::io::remove(&path).await?;
            return Err(error);
        }
        Ok(file)
    }

    async fn open(&self, name: &str) -> io::Result<JournalFile> {
        let path = self.at(name);
        JournalFile::open(&path, false).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        Ok(glommio::io::rename(from, to).await?)
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.at(name);
        Ok(glommio::io::remove(path).await?)
    }

    async fn sync(&self) -> io::Result<()> {
        let path = Arc::clone(&self.path);
        sync_directory(path).await
    }
}

impl LogFile for JournalFile {
    async fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let part = self.file.read_at(bytes.len() as u64, CHUNK_BYTES).await?;
            if part.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&part);
        }
    }

    async fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        write_all(&self.file, bytes, offset).await
    }

    async fn write_durably(&self, bytes: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
        write_all(&self.durable, bytes, offset).await
    }

    async fn sync_data(&self) -> io::Result<()> {
        Ok(self.file.fdatasync().await?)
    }

    async fn set_len(&self, bytes: u64) -> io::Result<()> {
        Ok(self.file.truncate(bytes).await?)
    }
}

/// Writes everything, however little the kernel takes at a time. The ring keeps what it is handed, so `bytes` stays here
/// and each operation gets a copy.
async fn write_all(file: &BufferedFile, bytes: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
    let mut done = 0;
    while done < bytes.len() {
        let end = bytes.len().min(done + CHUNK_BYTES);
        match file.write_at(bytes[done..end].to_vec(), offset + done as u64).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            len => done += len,
        }
    }
    Ok(bytes)
}
