//! A file with positions of its own: every read and write says where, and goes on until it is done.

use std::io;
use std::path::Path;

use glommio::io::{BufferedFile, Directory, OpenOptions};

use super::readiness::AwaitsReactor;

/// Bytes that one write hands to the ring at most.
const CHUNK_BYTES: usize = 1 << 20;

/// An open file of this core, read and written through the page cache. Close it with [`File::close`]; a drop closes it
/// a little later.
#[derive(Debug)]
pub struct File {
    file: BufferedFile,
}

impl File {
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// What the kernel says, [`io::ErrorKind::NotFound`] above all.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        Self::open_with(OpenOptions::new().read(true).write(true), path.as_ref()).await
    }

    /// Creates a file that must not exist yet, for reading and writing by its owner alone.
    ///
    /// # Errors
    /// What the kernel says, [`io::ErrorKind::AlreadyExists`] above all.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        Self::open_with(OpenOptions::new().read(true).write(true).create_new(true).mode(0o600), path.as_ref())
            .await
    }

    async fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
        Ok(File { file: options.buffered_open(path).await? })
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn len(&self) -> io::Result<u64> {
        Ok(self.file.file_size().await?)
    }

    /// Whether the file holds no bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// Reads `len` bytes from `offset` on; fewer only where the file ends.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let _awaits = AwaitsReactor::new();
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let part =
                self.file.read_at(offset + bytes.len() as u64, (len - bytes.len()).min(CHUNK_BYTES)).await?;
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    /// Writes all of `bytes` from `offset` on, however little the kernel takes at a time.
    ///
    /// # Errors
    /// What the kernel says, [`io::ErrorKind::StorageFull`] above all; some of the bytes may have been written.
    pub async fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _awaits = AwaitsReactor::new();
        let mut done = 0;
        while done < bytes.len() {
            // The ring keeps what it is handed, and a short write would take the rest with it.
            let end = bytes.len().min(done + CHUNK_BYTES);
            let chunk = bytes[done..end].to_vec();
            match self.file.write_at(chunk, offset + done as u64).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                len => done += len,
            }
        }
        Ok(())
    }

    /// Waits until the file's bytes are on the medium (fdatasync).
    ///
    /// # Errors
    /// What the kernel says. The bytes are then in an unknown state, and a second try would hide that.
    pub async fn sync_data(&self) -> io::Result<()> {
        let _awaits = AwaitsReactor::new();
        Ok(self.file.fdatasync().await?)
    }

    /// Closes the file.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn close(self) -> io::Result<()> {
        Ok(self.file.close().await?)
    }
}

/// Renames a file within its directory, and waits until the directory's change is on the medium.
///
/// # Errors
/// What the kernel says.
pub async fn rename_durably(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let to = to.as_ref();
    glommio::io::rename(from.as_ref(), to).await?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_directory(parent.unwrap_or(Path::new("."))).await
}

/// Waits until a directory's entries are on the medium.
///
/// # Errors
/// What the kernel says.
pub async fn sync_directory(path: impl AsRef<Path>) -> io::Result<()> {
    // The reactor opens a directory beside no descriptor, which the kernel takes for absolute paths alone.
    let path = std::path::absolute(path)?;
    let directory = Directory::open(&path).await?;
    directory.sync().await?;
    Ok(directory.close().await?)
}
