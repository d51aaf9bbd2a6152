//! What can go wrong with an executor as a whole.

use std::fmt;
use std::io;

/// Why an executor could not start or did not end well.
#[derive(Debug)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The operating system refused a thread.
    Thread(io::Error),
    /// The thread could not be pinned to the processor asked for.
    Affinity {
        /// The processor's number.
        cpu: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The reactor could not be built: io_uring is missing, forbidden or out of memory.
    Reactor(String),
    /// The executor's main future panicked with this message.
    Panicked(String),
    /// The call needs an executor and was made on a thread that runs none.
    NoExecutor,
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(source) => write!(f, "cannot start an executor thread: {source}"),
            Self::Affinity { cpu, source } => {
                write!(
                    f,
                    "cannot pin an executor to cpu {cpu}: {source}; only cpus of this process's affinity mask are allowed"
                )
            }
            Self::Reactor(reason) => write!(f, "cannot build the io_uring reactor: {reason}"),
            Self::Panicked(message) => write!(f, "the executor's main task panicked: {message}"),
            Self::NoExecutor => {
                f.write_str("this call must be made inside an executor, and this thread runs none")
            }
        }
    }
}

impl std::error::Error for RuntimeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(source) | Self::Affinity { source, .. } => Some(source),
            _ => None,
        }
    }
}
