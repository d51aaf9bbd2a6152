//! The durable tasks and the indexes over them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::ready::{Place, Ready, place};
use super::settings::Settings;
use super::task::{Status, Task, TaskId};
use super::time::Now;

/// A task that is durable, and what is about to happen to it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) task: Task,
    /// The sequence of its last durable change.
    pub(super) sequence: u64,
    /// The sequence of the change that is being committed; 0 for none.
    pub(super) busy: u64,
    /// Since when it may be claimed, on the monotonic clock; `None` while it may not.
    pub(super) ready_since_ms: Option<i64>,
}

/// Every durable task and what finds it. Each index follows from the tasks alone.
#[derive(Debug, Default)]
pub(super) struct Store {
    slots: Vec<Option<Box<Entry>>>,
    free: Vec<u32>,
    ids: HashMap<TaskId, u32>,
    pub(super) ready: Ready,
    /// By status and type, in the order of creation.
    pub(super) lists: [BTreeMap<Arc<str>, BTreeSet<Place>>; 5],
    /// Ends of leases and of delays.
    pub(super) timers: BTreeSet<(i64, u32)>,
    /// When each finished task finished.
    pub(super) finished: BTreeSet<(i64, u64, u32)>,
    /// What a worker or peer holds, or held until it was cancelled.
    pub(super) holders: HashMap<Arc<str>, BTreeSet<u32>>,
    keys: HashMap<Arc<str>, u32>,
    pub(super) bytes: usize,
    ageing_ms: u64,
}

impl Store {
    pub(super) fn new(settings: &Settings) -> Store {
        Store { ageing_ms: settings.ageing_ms, ..Store::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn slot(&self, id: TaskId) -> Option<u32> {
        self.ids.get(&id).copied()
    }

    pub(super) fn keyed(&self, key: &str) -> Option<&Entry> {
        self.entry(*self.keys.get(key)?)
    }

    pub(super) fn entry(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize)?.as_deref()
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// How many slots there are, taken or free; a snapshot walks them.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The type's name as the store holds it, so that a million tasks share one.
    pub(super) fn interned(&self, name: &Arc<str>) -> Arc<str> {
        let known = self.lists.iter().find_map(|types| types.get_key_value(name));
        known.map_or(name, |(known, _)| known).clone()
    }

    /// How many tasks of a type have a status.
    pub(super) fn count(&self, status: Status, task_type: &str) -> usize {
        self.lists[status as usize].get(task_type).map_or(0, BTreeSet::len)
    }

    /// Puts a task in, in place of what it was before.
    pub(super) fn put(&mut self, task: Task, sequence: u64, now: Now) -> u32 {
        let slot = match self.slot(task.id()) {
            Some(slot) => {
                self.unindex(slot);
                slot
            }
            None => self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }),
        };
        self.ids.insert(task.id(), slot);
        self.slots[slot as usize] = Some(Box::new(Entry { task, sequence, busy: 0, ready_since_ms: None }));
        self.index(slot, now);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.unindex(slot);
        if let Some(entry) = self.slots[slot as usize].take() {
            self.ids.remove(&entry.task.id());
            if let Some(key) = &entry.task.core.idempotency_key
                && self.keys.get(key) == Some(&slot)
            {
                self.keys.remove(key);
            }
            self.free.push(slot);
        }
    }

    /// Takes a task out of everybody's sight while a change of it is committed, or (0) puts it back.
    pub(super) fn set_busy(&mut self, slot: u32, sequence: u64, now: Now) {
        let Some(entry) = self.entry_mut(slot) else { return };
        entry.busy = sequence;
        match sequence {
            0 => self.make_ready(slot, now),
            _ => self.unready(slot),
        }
    }

    /// Makes a queued task claimable whose time has come.
    pub(super) fn make_ready(&mut self, slot: u32, now: Now) {
        let ageing_ms = self.ageing_ms;
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(|slot| slot.as_deref_mut()) else {
            return;
        };
        let state = &entry.task.state;
        let queued = state.status == Status::Queued && entry.busy == 0;
        if queued && state.not_before_ms <= now.mono_ms && entry.ready_since_ms.is_none() {
            entry.ready_since_ms = Some(now.mono_ms);
            let core = &entry.task.core;
            self.ready.insert(core, place(core, ageing_ms, slot));
        }
    }

    fn unready(&mut self, slot: u32) {
        let ageing_ms = self.ageing_ms;
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(|slot| slot.as_deref_mut()) else {
            return;
        };
        if entry.ready_since_ms.take().is_some() {
            let core = &entry.task.core;
            self.ready.remove(core, &place(core, ageing_ms, slot));
        }
    }

    fn index(&mut self, slot: u32, now: Now) {
        let Some(entry) = self.slots[slot as usize].as_deref() else { return };
        let (core, state) = (entry.task.core.clone(), entry.task.state.clone());
        self.bytes += entry.task.bytes();
        let listed = (core.created_ms, core.created_sequence, slot);
        self.lists[state.status as usize].entry(core.task_type.clone()).or_default().insert(listed);
        match state.status {
            Status::Queued if state.not_before_ms > now.mono_ms => {
                self.timers.insert((state.not_before_ms, slot));
            }
            Status::Queued => self.make_ready(slot, now),
            Status::Running => {
                self.timers.insert((state.lease_until_ms, slot));
            }
            _ => {
                self.finished.insert((state.finished_mono_ms, core.created_sequence, slot));
            }
        }
        for name in holds(&state) {
            self.holders.entry(name).or_default().insert(slot);
        }
        if let Some(key) = &core.idempotency_key {
            let newer =
                self.keyed(key).is_none_or(|other| other.task.core.created_sequence <= core.created_sequence);
            if newer {
                self.keys.insert(key.clone(), slot);
            }
        }
    }

    fn unindex(&mut self, slot: u32) {
        self.unready(slot);
        let Some(entry) = self.entry(slot) else { return };
        let (core, state) = (entry.task.core.clone(), entry.task.state.clone());
        self.bytes -= entry.task.bytes();
        let types = &mut self.lists[state.status as usize];
        if let Some(list) = types.get_mut(&core.task_type) {
            list.remove(&(core.created_ms, core.created_sequence, slot));
            if list.is_empty() {
                types.remove(&core.task_type);
            }
        }
        self.timers.remove(&(state.not_before_ms, slot));
        self.timers.remove(&(state.lease_until_ms, slot));
        self.finished.remove(&(state.finished_mono_ms, core.created_sequence, slot));
        for name in holds(&state) {
            if let Some(held) = self.holders.get_mut(&name) {
                held.remove(&slot);
                if held.is_empty() {
                    self.holders.remove(&name);
                }
            }
        }
    }
}

/// Under which names a heartbeat finds the task.
fn holds(state: &super::task::State) -> Vec<Arc<str>> {
    let told = state.status == Status::Running || state.revoked;
    let Some(holder) = state.holder.as_ref().filter(|_| told) else { return Vec::new() };
    match holder.worker == holder.peer {
        true => vec![holder.worker.clone()],
        false => vec![holder.worker.clone(), holder.peer.clone()],
    }
}
