//! The journal's files with blocking calls: for recovery before an executor runs, and for looking at a journal.

use std::fs::{File, OpenOptions};
use std::future::{Future, ready};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

use super::JournalFolder;
use crate::journal::{Folder, LogFile};

/// The directory of a journal; every call blocks, and every future is ready at once.
#[derive(Debug, Clone)]
pub struct BlockingFolder {
    folder: JournalFolder,
}

/// A file of it.
#[derive(Debug)]
pub struct BlockingFile {
    file: File,
}

impl BlockingFolder {
    pub(super) fn new(folder: JournalFolder) -> Self {
        Self { folder }
    }

    fn open_now(&self, name: &str, writable: bool) -> io::Result<BlockingFile> {
        // Somebody else's directory may hold what waits when it is opened, a pipe for instance.
        let mut options = OpenOptions::new();
        options.read(true).write(writable).custom_flags(libc::O_NONBLOCK);
        let file = options.open(self.folder.at(name))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(BlockingFile { file })
    }

    fn create_now(&self, name: &str, bytes: u64) -> io::Result<BlockingFile> {
        let path = self.folder.at(name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        match reserve(&file, bytes) {
            Ok(()) => Ok(BlockingFile { file }),
            Err(error) => {
                std::fs::remove_file(&path)?;
                Err(error)
            }
        }
    }
}

fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory of ours.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => file.set_len(bytes),
        error => Err(error),
    }
}

impl Folder for BlockingFolder {
    type File = BlockingFile;

    fn names(&self) -> impl Future<Output = io::Result<Vec<String>>> {
        ready(self.folder.list())
    }

    fn create(&self, name: &str, bytes: u64) -> impl Future<Output = io::Result<BlockingFile>> {
        ready(self.create_now(name, bytes))
    }

    fn open(&self, name: &str) -> impl Future<Output = io::Result<BlockingFile>> {
        // What is only looked at may belong to somebody else.
        ready(self.open_now(name, self.folder.is_ours()))
    }

    fn rename(&self, from: &str, to: &str) -> impl Future<Output = io::Result<()>> {
        ready(std::fs::rename(self.folder.at(from), self.folder.at(to)))
    }

    fn remove(&self, name: &str) -> impl Future<Output = io::Result<()>> {
        ready(std::fs::remove_file(self.folder.at(name)))
    }

    fn sync(&self) -> impl Future<Output = io::Result<()>> {
        ready(File::open(&*self.folder.path).and_then(|folder| folder.sync_all()))
    }
}

impl LogFile for BlockingFile {
    fn read_all(&self) -> impl Future<Output = io::Result<Vec<u8>>> {
        let read = || {
            let mut bytes = vec![0; self.file.metadata()?.len() as usize];
            self.file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        ready(read())
    }

    fn write_at(&self, bytes: Vec<u8>, offset: u64) -> impl Future<Output = io::Result<Vec<u8>>> {
        ready(self.file.write_all_at(&bytes, offset).map(|()| bytes))
    }

    fn sync_data(&self) -> impl Future<Output = io::Result<()>> {
        ready(self.file.sync_data())
    }

    fn set_len(&self, bytes: u64) -> impl Future<Output = io::Result<()>> {
        ready(self.file.set_len(bytes))
    }
}
