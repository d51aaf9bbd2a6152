//! Tasks that were claimed by somebody who had gone before the claim was durable: they go back at once, not after a lease.

use std::sync::{Mutex, PoisonError};

use super::StoreError;
use super::commits::Machine;
use super::local::LocalStore;
use crate::queue::{Step, Task, TaskId};

/// Claims that could not be given back yet. There are never more than claims in flight.
#[derive(Debug, Default)]
pub(super) struct Returns(Mutex<Vec<(TaskId, u64)>>);

impl Returns {
    fn add(&self, claim: (TaskId, u64)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
    }

    fn take(&self) -> Vec<(TaskId, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LocalStore {
    /// Gives back tasks whose claimant has gone before it heard of them.
    pub(super) fn give_back(&self, tasks: &[Task]) {
        tasks.iter().for_each(|task| self.give_back_one(task.core.id, task.state.token));
    }

    /// Tries again what could not be given back.
    pub(super) fn give_back_more(&self) {
        self.store().returns.take().into_iter().for_each(|(id, token)| self.give_back_one(id, token));
    }

    fn give_back_one(&self, id: TaskId, token: u64) {
        let store = self.store();
        let asked = store.queue.lock().give_back(self.now(), id, token);
        let is_later = match asked {
            Ok(Step::Change(change)) => {
                let kept = self.keep_unheard(Machine::Queue, change);
                matches!(kept, Err(StoreError::Busy | StoreError::DiskFull))
            }
            // Somebody else changes it at this moment; the token tells afterwards whether it is still the same claim.
            Ok(Step::Wait(_)) => true,
            Ok(Step::Done(_)) | Err(_) => false,
        };
        if is_later {
            store.returns.add((id, token));
            store.due.note(Some(self.now().mono_ms));
        }
    }
}
