//! The identity of this node: from the file that was named, or from the data directory, where it is made at the first
//! start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::data_dir::problem;
use super::error::ServerError;
use super::kept::{self, Found, Kept};
use crate::config::ServerConfig;
use crate::p2p::identity::Identity;

/// Where the key of an identity lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// In a file that is kept.
    File {
        /// The file.
        path: PathBuf,
        /// Whether it was made just now.
        made: bool,
    },
    /// Nowhere, so it ends with the process; why that is so.
    Nowhere(String),
}

/// The identity of a node with this configuration; it blocks. Where no file can be kept, it lasts as long as the process.
///
/// # Errors
/// A key file that was named and cannot be used, a data directory that was asked for and cannot be used, and a key that
/// cannot be trusted, wherever it lies.
pub(crate) fn identity(
    config: &ServerConfig,
    or_default: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(Identity, Keeping), ServerError> {
    if let Some(path) = &config.p2p_key_file {
        let identity = Identity::from_file(path).map_err(|error| problem(&error.path, &error.problem))?;
        return Ok((identity, Keeping::File { path: path.clone(), made: false }));
    }
    match kept::find_or_make(config.data_dir.as_deref(), or_default, variable)? {
        Ok(Found { value, path, made }) => Ok((value, Keeping::File { path, made })),
        Err(nowhere) => Ok((Identity::ephemeral(), Keeping::Nowhere(nowhere.to_string()))),
    }
}

impl Kept for Identity {
    const FILE: &'static str = "identity.key";

    fn read(path: &Path) -> Result<Option<Self>, ServerError> {
        Identity::from_own_file(path).map_err(|sentence| {
            let mend = "put back a copy, or remove it to have this node be another from the next start on";
            problem(path, &format!("{sentence}; {mend}"))
        })
    }

    fn make() -> Result<(Self, String), String> {
        let identity = Identity::ephemeral();
        let text = identity.to_private_key()?;
        Ok((identity, text))
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

    fn with_data_dir(path: &Path) -> ServerConfig {
        ServerConfig { data_dir: Some(path.to_owned()), ..ServerConfig::default() }
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = with_data_dir(&folder.path().join("data"));
        let file = folder.path().join("data/identity.key");
        let (first, keeping) = identity(&config, false, nothing).unwrap();
        assert_eq!(keeping, Keeping::File { path: file.clone(), made: true });
        let (second, keeping) = identity(&config, false, nothing).unwrap();
        assert_eq!(keeping, Keeping::File { path: file.clone(), made: false });
        assert_eq!((first.peer_id(), first.key_kind()), (second.peer_id(), "ed25519"));
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    }

    #[test]
    fn processes_that_start_at_once_end_with_one_identity() {
        let folder = tempfile::tempdir().unwrap();
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (config, barrier) = (with_data_dir(folder.path()), barrier.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    identity(&config, false, nothing).unwrap().0.peer_id()
                })
            })
            .collect();
        let all: std::collections::BTreeSet<_> =
            threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn a_named_file_wins_and_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("given");
        let config =
            ServerConfig { p2p_key_file: Some(path.clone()), ..with_data_dir(&folder.path().join("data")) };
        let error = identity(&config, true, nothing).unwrap_err().to_string();
        assert!(error.contains("given") && error.contains("no such file"), "{error}");
        let given = Identity::ephemeral();
        std::fs::write(&path, given.to_private_key().unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(identity(&config, true, nothing).unwrap().0.peer_id(), given.peer_id());
        assert!(!folder.path().join("data").exists());
    }

    #[test]
    fn a_key_that_cannot_be_trusted_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (config, file) = (with_data_dir(folder.path()), folder.path().join("identity.key"));
        identity(&config, false, nothing).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = identity(&config, false, nothing).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains("identity.key"), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "rubbish").unwrap();
        assert!(identity(&config, false, nothing).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "rubbish");
    }

    #[test]
    fn a_link_in_the_default_place_is_refused_wherever_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("ringmesh");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), data.join("identity.key")).unwrap();
        let state = |name: &str| (name == "XDG_STATE_HOME").then(|| folder.path().as_os_str().to_owned());
        let error = identity(&ServerConfig::default(), true, state).unwrap_err().to_string();
        assert!(error.contains("identity.key"), "{error}");
    }

    #[test]
    fn without_a_place_each_start_has_its_own() {
        let config = ServerConfig::default();
        let (first, keeping) = identity(&config, true, nothing).unwrap();
        assert!(matches!(keeping, Keeping::Nowhere(why) if why.contains("set data_dir")));
        assert_ne!(first.peer_id(), identity(&config, false, nothing).unwrap().0.peer_id());
    }
}
