//! The journal's files on a real disk, in two ways: through the ring while the server runs, and blocking before that.
//!
//! Through the ring, a batch is one write to a descriptor with O_DSYNC: as fast as any way with a thread of its own, and
//! without that thread. `docs/journal.md` has the figures.

mod blocking;
mod ring;

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::JournalError;

pub use blocking::{BlockingFile, BlockingFolder};
pub use ring::JournalFile;

const LOCK_FILE: &str = "lock";

/// The directory of a journal, which this process alone has open. It is `Send`; each core takes a clone.
#[derive(Debug, Clone)]
pub struct JournalFolder {
    path: Arc<Path>,
    lock: Option<Arc<fs::File>>,
}

impl JournalFolder {
    /// Opens the directory, made for its owner alone where it is missing, and keeps other processes out for as long as a
    /// clone lives. It blocks; call it before an executor runs.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it, or what the kernel says.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |error| JournalError::Io { doing: "open", name: path.display().to_string(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path.join(LOCK_FILE)).map_err(failed)?;
        // The directory itself has to outlive a crash too.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        match lock_file(&file) {
            Ok(()) => Ok(Self { path: path.into(), lock: Some(Arc::new(file)) }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(JournalError::Locked(format!(
                "another process has the journal in {} open; stop it, or give this one a directory of its own",
                path.display()
            ))),
            Err(error) => Err(failed(error)),
        }
    }

    /// The directory as it is, for reading alone: nothing is locked or made.
    pub fn for_reading(path: &Path) -> Self {
        Self { path: path.into(), lock: None }
    }

    /// The same directory with blocking calls, whose futures are ready at once: for recovery before an executor runs.
    pub fn blocking(&self) -> BlockingFolder {
        BlockingFolder::new(self.clone())
    }

    fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&*self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn lock_file(file: &fs::File) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory of ours.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;

    #[test]
    fn one_process_has_the_directory_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let first = JournalFolder::open(&path).unwrap();
        let clone = first.clone();
        drop(first);
        let error = JournalFolder::open(&path).unwrap_err();
        assert!(matches!(&error, JournalError::Locked(text) if text.contains("journal")), "{error}");
        drop(clone);
        JournalFolder::open(&path).unwrap();
    }
}
