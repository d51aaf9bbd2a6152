//! The keys of `requestState` in the data directory: made at the first start, shared by every process that uses the
//! directory, readable by their owner alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::data_dir::{self, DataDir, problem};
use super::error::ServerError;
use super::kept::{self, Found, Kept, Nowhere};
use crate::mcp::RequestStateKeys;
use crate::runtime::{Links, read_private};

const FILE: &str = RequestStateKeys::FILE;
/// More than any key file has.
const MAX_BYTES: u64 = 1024;
const MEND: &str = "put back a copy, rotate keys that others may have read, or remove it to have new ones made at the \
                    next start";

/// The keys of a server: from its data directory, or `None` for a key of this process alone.
///
/// # Errors
/// A directory that was asked for and cannot be used, and a key file that cannot be trusted, wherever it lies.
pub(super) fn keys(
    data_dir: Option<&Path>,
    or_default: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<RequestStateKeys>, ServerError> {
    const MEANING: &str = "a call that waits for its client's answer ends with this process, and no other process can \
                           go on with it (2026-07-28)";
    match kept::find_or_make(data_dir, or_default, variable)? {
        Ok(Found { value, .. }) => return Ok(Some(value)),
        Err(nowhere @ Nowhere::NotSet) => tracing::info!("{nowhere}: {MEANING}"),
        Err(nowhere) => tracing::warn!("{nowhere}, or else {MEANING}"),
    }
    Ok(None)
}

/// Makes a new key current and the current one previous; returns the file that holds them. A server that runs goes on
/// with the keys it started with.
///
/// # Errors
/// No directory that is there, or keys that cannot be read or written.
pub(crate) fn rotate(data_dir: Option<&Path>) -> Result<PathBuf, ServerError> {
    let path = data_dir.map(Path::to_owned).or_else(|| data_dir::default_path(|name| std::env::var_os(name)));
    let path =
        path.ok_or_else(|| problem(Path::new("data_dir"), "it is not set, and there is no default here"))?;
    // A directory that was mistyped would get keys that no server reads.
    if !path.is_dir() {
        return Err(problem(&path, "it is no directory that is there; a server makes it at its first start"));
    }
    let directory = DataDir::open(&path)?;
    let _locked = directory.lock()?;
    let keys = match RequestStateKeys::read(&directory.path(FILE))? {
        Some(keys) => keys.rotated(),
        None => RequestStateKeys::random(),
    };
    let keys = keys.map_err(|error| problem(&path, &format!("no new key: {error}")))?;
    directory.replace(FILE, &keys.to_text())?;
    Ok(directory.path(FILE))
}

impl Kept for RequestStateKeys {
    const FILE: &'static str = "request-state.keys";

    fn read(path: &Path) -> Result<Option<Self>, ServerError> {
        let wrong = |sentence: &str| problem(path, &format!("{sentence}; {MEND}"));
        let content = read_private(path, Links::Refuse, MAX_BYTES).map_err(|sentence| wrong(&sentence))?;
        let Some(content) = content else { return Ok(None) };
        let text = String::from_utf8(content).map_err(|_| wrong("it is not text"))?;
        RequestStateKeys::parse(&text).map(Some).map_err(|sentence| wrong(&sentence))
    }

    fn make() -> Result<(Self, String), String> {
        let keys = RequestStateKeys::random().map_err(|error| error.to_string())?;
        let text = keys.to_text();
        Ok((keys, text))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::sync::{Arc, Barrier};

    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn keys_are_made_once_and_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = keys(Some(&path), false, nothing).unwrap().unwrap();
        assert_eq!(keys(Some(&path), false, nothing).unwrap(), Some(first.clone()));
        let file = rotate(Some(&path)).unwrap();
        assert_eq!(file, path.join(FILE));
        let second = keys(Some(&path), false, nothing).unwrap().unwrap();
        assert_eq!(second.previous(), Some(first.current()));
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn processes_that_start_at_once_end_with_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (path, barrier) = (folder.path().join("new"), barrier.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    keys(Some(&path), false, nothing).unwrap().unwrap().to_text()
                })
            })
            .collect();
        let all: std::collections::BTreeSet<_> =
            threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn files_that_cannot_be_trusted_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        keys(Some(folder.path()), false, nothing).unwrap();
        let sound = std::fs::read_to_string(&file).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o660] {
            set_mode(&file, mode);
            let error = keys(Some(folder.path()), false, nothing).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(FILE), "{error}");
        }
        set_mode(&file, 0o600);
        for text in ["", "x", &sound[..40], &format!("{sound}{sound}"), &"x".repeat(5000)] {
            std::fs::write(&file, text).unwrap();
            assert!(keys(Some(folder.path()), false, nothing).is_err(), "{text:?}");
            assert!(rotate(Some(folder.path())).is_err());
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        assert!(keys(Some(folder.path()), false, nothing).is_err());
    }

    #[test]
    fn a_default_place_that_cannot_be_used_is_passed_over_and_bad_keys_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let home = |path: &Path| {
            let path = path.as_os_str().to_owned();
            move |name: &str| (name == "XDG_STATE_HOME").then(|| path.clone())
        };
        assert_eq!(keys(None, true, home(&file)).unwrap(), None);
        assert_eq!(keys(None, true, nothing).unwrap(), None);
        assert_eq!(keys(None, false, home(folder.path())).unwrap(), None);
        assert!(!folder.path().join("ringmesh").exists());
        assert!(keys(None, true, home(folder.path())).unwrap().is_some());
        set_mode(&folder.path().join("ringmesh").join(FILE), 0o644);
        assert!(keys(None, true, home(folder.path())).is_err());
        assert!(keys(Some(&file.join("x")), true, nothing).is_err());
    }
}
