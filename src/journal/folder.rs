//! What the journal asks of a file system; the real one lies in `runtime`, a simulated one stands in for it in the tests.

use std::future::Future;
use std::io;

/// A directory whose files belong to the journal. A clone is the same directory.
///
/// No change of a name is durable before [`Folder::sync`], and no byte before [`LogFile::sync_data`].
pub trait Folder: Clone + 'static {
    /// A file of it.
    type File: LogFile;

    /// The names in it, in any order.
    fn names(&self) -> impl Future<Output = io::Result<Vec<String>>>;

    /// Creates a file that must not exist, with `bytes` bytes of zeros whose place on the medium is reserved. Where
    /// there is no room it fails with what [`is_full`] knows, and leaves no file.
    fn create(&self, name: &str, bytes: u64) -> impl Future<Output = io::Result<Self::File>>;

    /// Opens a file that exists.
    fn open(&self, name: &str) -> impl Future<Output = io::Result<Self::File>>;

    /// Gives a file another name; one that has that name already is replaced.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = io::Result<()>>;

    /// Removes a name.
    fn remove(&self, name: &str) -> impl Future<Output = io::Result<()>>;

    /// Waits until every change of names is on the medium.
    fn sync(&self) -> impl Future<Output = io::Result<()>>;
}

/// An open file of the journal. Dropping it closes it.
pub trait LogFile: 'static {
    /// Everything that it holds.
    fn read_all(&self) -> impl Future<Output = io::Result<Vec<u8>>>;

    /// Writes all of `bytes` from `offset` on, and gives the buffer back.
    fn write_at(&self, bytes: Vec<u8>, offset: u64) -> impl Future<Output = io::Result<Vec<u8>>>;

    /// As [`LogFile::write_at`], and waits until the bytes are on the medium.
    fn write_durably(&self, bytes: Vec<u8>, offset: u64) -> impl Future<Output = io::Result<Vec<u8>>> {
        async move {
            let bytes = self.write_at(bytes, offset).await?;
            self.sync_data().await?;
            Ok(bytes)
        }
    }

    /// Waits until all bytes written, and the length, are on the medium. After an error nothing is known of them, and a
    /// second try would hide that.
    fn sync_data(&self) -> impl Future<Output = io::Result<()>>;

    /// Cuts or extends the file.
    fn set_len(&self, bytes: u64) -> impl Future<Output = io::Result<()>>;
}

/// Whether an error says that there is no room left: on the disk, in a quota, or below the process's limit for its files.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
