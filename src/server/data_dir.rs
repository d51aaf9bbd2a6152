//! The directory for what must outlive the process: found or made, closed to others, and locked while it is changed.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::ServerError;

/// Another process holds the lock for a few file operations, so waiting longer means that something is wrong.
const LOCK_TIME: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(10);
const LOCK_FILE: &str = "lock";

/// A data directory that exists.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// The directory's lock; dropping it lets others in.
pub(super) struct Locked(#[expect(dead_code, reason = "its descriptor is the lock")] File);

impl DataDir {
    /// Opens the directory; one that is missing is made, for its owner alone.
    ///
    /// # Errors
    /// It is no directory or cannot be made; what the kernel said is in the error.
    pub(crate) fn open(path: &Path) -> Result<DataDir, ServerError> {
        let failed = |error: io::Error| problem(path, &error.to_string());
        if std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Err(problem(path, "it is not a directory; data_dir names the one that state is kept in"));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let found = std::fs::metadata(path).map_err(failed)?;
        if found.mode() & 0o022 != 0 {
            tracing::warn!("others may write to the data directory {}; chmod 700 closes it", path.display());
        }
        Ok(DataDir { path: path.to_owned() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Keeps other processes from changing the directory until the lock is dropped.
    pub(super) fn lock(&self) -> Result<Locked, ServerError> {
        let path = self.path(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|error| problem(&path, &error.to_string()))?;
        let end = Instant::now() + LOCK_TIME;
        loop {
            match try_lock(&file) {
                Ok(()) => return Ok(Locked(file)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(problem(&path, "another process holds it locked"));
                }
                Err(error) => return Err(problem(&path, &format!("it cannot be locked: {error}"))),
            }
        }
    }

    /// Replaces a file, or makes it, so that a crash leaves the old one or the new one. Only its owner may read it. Hold
    /// the lock.
    pub(super) fn replace(&self, name: &str, content: &str) -> Result<(), ServerError> {
        let path = self.path(name);
        let failed = |error: io::Error| problem(&path, &format!("it cannot be written: {error}"));
        // Under the lock nobody else writes it, so one that is there is the leftover of a crash.
        let new = self.path(&format!("{name}.new"));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        File::open(&self.path).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

fn try_lock(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory of ours.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(super) fn problem(path: &Path, problem: &str) -> ServerError {
    ServerError::Data { path: path.to_owned(), problem: problem.to_owned() }
}

/// The directory of the journal in a data directory, or in the default one.
pub(crate) fn journal_path(data_dir: Option<&Path>) -> Option<PathBuf> {
    let path = data_dir.map(Path::to_owned).or_else(|| default_path(|name| std::env::var_os(name)));
    path.map(|path| path.join("journal"))
}

/// Where state is kept when nobody says where: the directory that systemd made for the service, or that of the user.
pub(crate) fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    if let Some(given) = variable("STATE_DIRECTORY") {
        // A service with several gets them with colons between.
        let first = given.to_str()?.split(':').next()?.to_owned();
        return absolute(first.into());
    }
    let user = variable("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
    let user = user.or_else(|| Some(absolute(variable("HOME")?.into())?.join(".local/state")));
    user.map(|path| path.join("ringmesh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default(variables: &[(&str, &str)]) -> Option<PathBuf> {
        default_path(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_default_is_what_service_and_user_expect() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(
            default(&[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/h")]),
            path("/var/lib/a")
        );
        assert_eq!(default(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), path("/s/ringmesh"));
        assert_eq!(default(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")]), path("/h/.local/state/ringmesh"));
        assert_eq!(default(&[("HOME", "")]), None);
        assert_eq!(default(&[]), None);
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        std::fs::write(&path, "").unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains("state") && error.contains("not a directory"), "{error}");
    }

    #[test]
    fn a_file_is_replaced_whole_and_leftovers_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDir::open(&folder.path().join("a/b")).unwrap();
        std::fs::write(directory.path("f.new"), "half").unwrap();
        let locked = directory.lock().unwrap();
        directory.replace("f", "one").unwrap();
        directory.replace("f", "two").unwrap();
        drop(locked);
        assert_eq!(std::fs::read_to_string(directory.path("f")).unwrap(), "two");
        assert!(!directory.path("f.new").exists());
        assert_eq!(std::fs::metadata(directory.path("f")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(folder.path().join("a/b")).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_lock_lets_in_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDir::open(folder.path()).unwrap();
        let first = directory.lock().unwrap();
        let path = folder.path().to_owned();
        let second = std::thread::spawn(move || DataDir::open(&path).unwrap().lock().map(drop).is_ok());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap());
    }

    #[test]
    fn what_is_no_directory_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("below")).unwrap_err().to_string();
        assert!(error.contains("file/below"), "{error}");
    }
}
