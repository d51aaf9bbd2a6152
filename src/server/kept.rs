//! What is made once and kept in the data directory: found again at each start, by every process that shares it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::data_dir::{self, DataDir, problem};
use super::error::ServerError;

/// Something that lies in a file of the data directory.
pub(super) trait Kept: Sized {
    /// The file's name.
    const FILE: &'static str;

    /// Reads the file; `None` where there is none.
    fn read(path: &Path) -> Result<Option<Self>, ServerError>;

    /// Makes a new one, with what its file is to hold.
    fn make() -> Result<(Self, String), String>;
}

/// Something kept, and where.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) path: PathBuf,
    /// Whether it was made just now.
    pub(super) made: bool,
}

/// Why there is no place to keep anything.
#[derive(Debug)]
pub(super) enum Nowhere {
    NotSet,
    NoDefault,
    Unusable(ServerError),
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet => f.write_str("no data_dir is set"),
            Self::NoDefault => f.write_str("there is no place for a data directory; set data_dir"),
            Self::Unusable(error) => write!(f, "{error}; set data_dir to a place that can be written"),
        }
    }
}

/// Finds it, or makes it, in the directory that is set, or else in the default one if that is wanted.
///
/// # Errors
/// A directory that was asked for and cannot be used, and a file that cannot be trusted, wherever it lies.
pub(super) fn find_or_make<T: Kept>(
    data_dir: Option<&Path>,
    or_default: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Result<Found<T>, Nowhere>, ServerError> {
    if let Some(path) = data_dir {
        return find_or_make_in(&DataDir::open(path)?).map(Ok);
    }
    if !or_default {
        return Ok(Err(Nowhere::NotSet));
    }
    let Some(path) = data_dir::default_path(variable) else { return Ok(Err(Nowhere::NoDefault)) };
    let found = DataDir::open(&path).and_then(|directory| {
        // Only a place that cannot hold anything is passed over, never a file that cannot be trusted.
        let exists = directory.path(T::FILE).symlink_metadata().is_ok();
        match find_or_make_in(&directory) {
            Err(error) if !exists => Err(error),
            result => Ok(result),
        }
    });
    match found {
        Ok(result) => result.map(Ok),
        Err(error) => Ok(Err(Nowhere::Unusable(error))),
    }
}

fn find_or_make_in<T: Kept>(directory: &DataDir) -> Result<Found<T>, ServerError> {
    let path = directory.path(T::FILE);
    if let Some(value) = T::read(&path)? {
        return Ok(Found { value, path, made: false });
    }
    let _locked = directory.lock()?;
    // Another process may have been faster.
    if let Some(value) = T::read(&path)? {
        return Ok(Found { value, path, made: false });
    }
    let (value, content) = T::make().map_err(|error| problem(&path, &format!("no key: {error}")))?;
    directory.replace(T::FILE, &content)?;
    tracing::info!("made {}", path.display());
    Ok(Found { value, path, made: true })
}
