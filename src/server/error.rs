//! Why a server did not start or did not end well.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::journal::JournalError;
use crate::mcp::RegistryError;
use crate::runtime::preflight::PreflightError;
use crate::runtime::{BoxError, RuntimeError};

/// Why a server did not start, or ended by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// This machine lacks something; each line says what and how to mend it.
    Preflight(PreflightError),
    /// A tool was registered wrongly.
    Registry(RegistryError),
    /// An address cannot be listened on.
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The data directory, or a file in it, cannot be used.
    Data {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it, and how to mend it.
        problem: String,
    },
    /// The journal of the task queue cannot be opened.
    Journal(JournalError),
    /// The journal of the task queue failed while the server ran; what it acknowledged is there at the next start.
    JournalFailed(String),
    /// The Host and Origin rules contradict each other.
    Access(String),
    /// An `on_startup` hook failed; nothing was served.
    Startup(BoxError),
    /// An `on_shutdown` hook failed.
    Shutdown(BoxError),
    /// A core ended by itself; the process should end too.
    Core {
        /// The index of the core.
        core: usize,
        /// What happened there.
        source: RuntimeError,
    },
    /// [`Server::run_in_executor`](super::Server::run_in_executor) was awaited outside a glommio executor.
    OutsideExecutor,
    /// [`Server::run`](super::Server::run) was called on an executor, which it would block.
    InsideExecutor,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "{error}"),
            Self::Preflight(error) => write!(f, "{error}"),
            Self::Registry(error) => write!(f, "{error}"),
            Self::Bind { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Data { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Journal(error) => write!(f, "{error}"),
            Self::JournalFailed(reason) => write!(f, "the journal of the task queue has failed: {reason}"),
            Self::Access(message) => f.write_str(message),
            Self::Startup(error) => write!(f, "on_startup failed: {error}"),
            Self::Shutdown(error) => write!(f, "on_shutdown failed: {error}"),
            Self::Core { core, source } => write!(f, "core {core} ended: {source}"),
            Self::OutsideExecutor => f.write_str(
                "run_in_executor must be awaited inside a glommio executor; use run() to start the server on cores of its own",
            ),
            Self::InsideExecutor => f.write_str(
                "run() blocks its thread and cannot be called inside an executor; await run_in_executor() there",
            ),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Preflight(error) => Some(error),
            Self::Registry(error) => Some(error),
            Self::Bind { source, .. } => Some(source),
            Self::Journal(error) => Some(error),
            Self::Startup(error) | Self::Shutdown(error) => Some(&**error),
            Self::Core { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<ConfigError> for ServerError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<RegistryError> for ServerError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl From<PreflightError> for ServerError {
    fn from(error: PreflightError) -> Self {
        Self::Preflight(error)
    }
}
