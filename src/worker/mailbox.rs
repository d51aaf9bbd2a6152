//! Where other threads and tasks leave what happened, for the one that runs the machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::machine::Input;
use super::notes::Notes;

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    event: Event,
}

/// Bounded by what runs: one entry for each question on its way and each command's end, and the bounded notes of each.
#[derive(Debug, Default)]
struct State {
    inputs: VecDeque<Input>,
    said: BTreeMap<String, Notes>,
}

/// Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox {
    inner: Arc<Inner>,
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves what happened.
    pub(super) fn put(&self, input: Input) {
        self.state().inputs.push_back(input);
        self.inner.event.notify(usize::MAX);
    }

    /// Leaves what a command said.
    pub(super) fn say(&self, task: &str, notes: Notes) {
        self.state().said.entry(task.to_owned()).or_default().append(notes);
        self.inner.event.notify(usize::MAX);
    }

    /// All that happened. What a command said comes before its end.
    pub(super) fn take(&self) -> Vec<Input> {
        let mut state = self.state();
        let said = std::mem::take(&mut state.said);
        let inputs = std::mem::take(&mut state.inputs);
        drop(state);
        said.into_iter().map(|(task, notes)| Input::Said(task, notes)).chain(inputs).collect()
    }

    /// Resolves once something is there.
    pub(super) async fn filled(&self) {
        loop {
            let listener = self.inner.event.listen();
            if self.is_filled() {
                return;
            }
            listener.await;
        }
    }

    fn is_filled(&self) -> bool {
        let state = self.state();
        !state.inputs.is_empty() || !state.said.is_empty()
    }
}
