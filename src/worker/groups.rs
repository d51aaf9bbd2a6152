//! The process groups that live, so that they can be signalled while their numbers are theirs.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::plan::Step;
use super::reaper::Reaper;

/// The groups of all commands of this worker. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// By number, with the reaper's token.
    live: Arc<Mutex<BTreeMap<u32, Option<u64>>>>,
    reaper: Option<Reaper>,
}

impl Groups {
    /// Groups that a reaper kills when this process cannot.
    pub fn with_reaper(reaper: Reaper) -> Groups {
        Groups { reaper: Some(reaper), ..Groups::default() }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<u32, Option<u64>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reaper follow a command that [`Groups::start`] will start, as the first thing that its child does.
    pub(super) fn follow(&self, command: &mut Command) -> Option<u64> {
        self.reaper.as_ref().map(|reaper| reaper.follow(command))
    }

    /// Starts a child that leads a group of its own.
    pub(super) fn start(&self, mut command: Command, followed: Option<u64>) -> io::Result<Child> {
        let mut live = self.live();
        let child = command.spawn().inspect_err(|_| self.ended(followed))?;
        live.insert(child.id(), followed);
        Ok(child)
    }

    /// Signals a group, if it lives.
    pub(super) fn signal(&self, group: u32, signal: i32) {
        let live = self.live();
        if live.contains_key(&group) {
            kill(group, signal);
        }
    }

    /// Kills every group.
    pub fn kill_all(&self) {
        self.live().keys().for_each(|group| kill(*group, libc::SIGKILL));
    }

    /// Waits for a child that has ended; from here on its number may be another's.
    pub(super) fn end(
        &self,
        group: u32,
        wait: impl FnOnce() -> io::Result<ExitStatus>,
    ) -> io::Result<ExitStatus> {
        // It is no longer listed before the number is free, and it has ended, so nobody misses it.
        self.ended(self.live().remove(&group).flatten());
        wait()
    }

    /// Does work that leaves nothing to tidy up at its end; the reaper takes these steps if this process ends before.
    pub(super) fn tidied(&self, steps: &[Step], work: impl FnOnce()) {
        let promised = self.reaper.as_ref().map(|reaper| reaper.tidies(steps));
        work();
        self.ended(promised);
    }

    fn ended(&self, token: Option<u64>) {
        if let (Some(reaper), Some(token)) = (&self.reaper, token) {
            reaper.ended(token);
        }
    }
}

/// Signals a group, whoever's it is.
pub(super) fn kill(group: u32, signal: i32) {
    let Ok(group) = i32::try_from(group) else { return };
    // SAFETY: kill takes two numbers; a group that has gone is an error that means nothing here.
    unsafe { libc::kill(-group, signal) };
}
