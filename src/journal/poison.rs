//! The end of all logs after the first write or fsync that failed.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use event_listener::{Event, EventListener};

/// Set once, by whoever sees the first failed write or fsync; from then on no log acknowledges anything. After such a
/// failure nobody knows what the medium holds, and a second try that succeeds would prove nothing.
#[derive(Debug, Clone, Default)]
pub struct Poison {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    reason: OnceLock<String>,
    set: Event,
}

impl Poison {
    /// Ends all logs. The first reason is kept.
    pub fn set(&self, reason: String) {
        // Who comes later tells nothing new.
        let _ = self.inner.reason.set(reason);
        self.inner.set.notify(usize::MAX);
    }

    /// Why there is no more writing, if there is none.
    pub fn reason(&self) -> Option<&str> {
        self.inner.reason.get().map(String::as_str)
    }

    /// What [`Poison::reason`] says, as an error.
    ///
    /// # Errors
    /// [`Poisoned`] once it is set.
    pub fn check(&self) -> Result<(), Poisoned> {
        self.reason().map_or(Ok(()), |reason| Err(Poisoned { reason: reason.to_owned() }))
    }

    /// Resolves once it is set.
    pub async fn wait(&self) -> Poisoned {
        loop {
            let listener = self.listen();
            if let Err(poisoned) = self.check() {
                return poisoned;
            }
            listener.await;
        }
    }

    pub(super) fn listen(&self) -> EventListener {
        self.inner.set.listen()
    }
}

/// The journal has ended: a write or an fsync failed. The process should end with an error, and recover at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// What failed.
    pub reason: String,
}

impl fmt::Display for Poisoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal has stopped, because {}", self.reason)
    }
}

impl Error for Poisoned {}
