//! The process groups that live, so that they can be signalled while their numbers are theirs.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The groups of all commands of this worker. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    live: Arc<Mutex<BTreeSet<u32>>>,
}

impl Groups {
    fn live(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a child that leads a group of its own.
    pub(super) fn start(&self, spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        let mut live = self.live();
        let child = spawn()?;
        live.insert(child.id());
        Ok(child)
    }

    /// Signals a group, if it lives.
    pub(super) fn signal(&self, group: u32, signal: i32) {
        let live = self.live();
        if live.contains(&group) {
            kill(group, signal);
        }
    }

    /// Kills every group.
    pub fn kill_all(&self) {
        self.live().iter().for_each(|group| kill(*group, libc::SIGKILL));
    }

    /// Waits for a child that has ended; from here on its number may be another's.
    pub(super) fn end(
        &self,
        group: u32,
        wait: impl FnOnce() -> io::Result<ExitStatus>,
    ) -> io::Result<ExitStatus> {
        // It is no longer listed before the number is free, and it has ended, so nobody misses it.
        self.live().remove(&group);
        wait()
    }
}

fn kill(group: u32, signal: i32) {
    let Ok(group) = i32::try_from(group) else { return };
    // SAFETY: kill takes two numbers; a group that has gone is an error that means nothing here.
    unsafe { libc::kill(-group, signal) };
}
