//! The queue itself: reservation, commit and abort of changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::codec::Writer;
use super::recover::KIND_TASKS;
use super::request::{Answer, Refusal};
use super::settings::Settings;
use super::step::{Change, Committed, Sequencer, Wake};
use super::store::{Entry, Store};
use super::task::{State, Status, Task, TaskId};
use super::time::Now;

/// What happened since the start, and what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leases that ended without their holder.
    pub lease_expiries: u64,
    /// Failures that are tried again.
    pub retries: u64,
    /// Tasks whose attempts ran out.
    pub dead_letters: u64,
    /// Tasks that were kept long enough.
    pub removed: u64,
}

/// What a commit does to one task.
#[derive(Debug)]
pub(super) enum Effect {
    New(Task),
    Update(u32, Task),
    Remove(u32),
}

/// A change between its reservation and its commit.
#[derive(Debug)]
pub(super) struct Pending {
    effects: Vec<Effect>,
    answer: Answer,
    counts: Counts,
}

/// The task queue. One for the process, behind one short lock of the caller's.
#[derive(Debug)]
pub struct Queue {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) sequencer: Sequencer,
    pub(super) pending: HashMap<u64, Pending>,
    /// Ids and keys of submits that are being committed.
    pub(super) pending_ids: HashMap<TaskId, u64>,
    pub(super) pending_keys: HashMap<Arc<str>, u64>,
    /// How many claims of each type are being committed.
    pub(super) claiming: HashMap<Arc<str>, usize>,
    pub(super) pending_bytes: usize,
    pub(super) random: u64,
    counts: Counts,
}

impl Queue {
    /// An empty queue; `seed` decides the jitter of retries, nothing else.
    pub fn new(settings: Settings, sequencer: Sequencer, seed: u64) -> Queue {
        Queue {
            store: Store::new(&settings),
            settings,
            sequencer,
            pending: HashMap::new(),
            pending_ids: HashMap::new(),
            pending_keys: HashMap::new(),
            claiming: HashMap::new(),
            pending_bytes: 0,
            random: seed,
            counts: Counts::default(),
        }
    }

    /// What is in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes a change visible whose record is durable; `None` if there is no such change.
    pub fn commit(&mut self, sequence: u64, now: Now) -> Option<Committed> {
        let pending = self.pending.remove(&sequence)?;
        let mut wakes = Vec::with_capacity(4);
        wakes.push(Wake::Sequence(sequence));
        for effect in pending.effects {
            self.settle(&effect);
            wakes.extend(self.room_made(&effect));
            match effect {
                Effect::New(task) | Effect::Update(_, task) => {
                    wakes.push(Wake::Changed(task.id()));
                    wakes.extend(wake(&task, now));
                    self.store.put(task, sequence, now);
                }
                Effect::Remove(slot) => {
                    wakes.extend(self.store.entry(slot).map(|entry| Wake::Changed(entry.task.id())));
                    self.store.remove(slot);
                }
            }
        }
        self.counts.lease_expiries += pending.counts.lease_expiries;
        self.counts.retries += pending.counts.retries;
        self.counts.dead_letters += pending.counts.dead_letters;
        self.counts.removed += pending.counts.removed;
        Some(Committed { answer: pending.answer, wakes })
    }

    /// Undoes a reservation whose record will never be written; says who waited for it.
    pub fn abort(&mut self, sequence: u64, now: Now) -> Vec<Wake> {
        let Some(pending) = self.pending.remove(&sequence) else { return Vec::new() };
        let mut wakes = vec![Wake::Sequence(sequence)];
        for effect in pending.effects {
            self.settle(&effect);
            if let Effect::Update(slot, _) | Effect::Remove(slot) = effect {
                self.store.set_busy(slot, 0, now);
                wakes.extend(self.store.entry(slot).and_then(|entry| wake(&entry.task, now)));
            }
        }
        wakes
    }

    /// Gives back what the reservation held besides the task itself.
    fn settle(&mut self, effect: &Effect) {
        match effect {
            Effect::New(task) => {
                self.pending_bytes -= task.bytes();
                self.pending_ids.remove(&task.id());
                if let Some(key) = &task.core.idempotency_key {
                    self.pending_keys.remove(key);
                }
            }
            Effect::Update(slot, task) if self.is_claim(*slot, task) => {
                if let Some(count) = self.claiming.get_mut(&task.core.task_type) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.claiming.remove(&task.core.task_type);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whoever waits for a type whose limit was reached, when one of its tasks stops running.
    fn room_made(&self, effect: &Effect) -> Option<Wake> {
        let (Effect::Update(slot, _) | Effect::Remove(slot)) = effect else { return None };
        let before = &self.store.entry(*slot)?.task;
        let ran = before.state.status == Status::Running;
        let stops = !matches!(effect, Effect::Update(_, task) if task.state.status == Status::Running);
        let limited = self.settings.type_limits.contains_key(&*before.core.task_type);
        (ran && stops && limited).then(|| Wake::Some(before.core.task_type.clone()))
    }

    /// Whether a change up to this sequence is reserved and neither committed nor aborted.
    pub fn is_pending_up_to(&self, sequence: u64) -> bool {
        self.pending.keys().any(|pending| *pending <= sequence)
    }

    fn is_claim(&self, slot: u32, after: &Task) -> bool {
        let before = self.store.entry(slot).map(|entry| entry.task.state.status);
        after.state.status == Status::Running && before != Some(Status::Running)
    }

    /// Reserves after-images of tasks that exist.
    pub(super) fn reserve_states(
        &mut self,
        sequence: u64,
        changes: Vec<(u32, State)>,
        answer: impl FnOnce(&[Task]) -> Answer,
        counts: Counts,
        now: Now,
    ) -> Change {
        let mut writer = Writer::new(now);
        let (mut effects, mut tasks) = (Vec::new(), Vec::new());
        for (slot, state) in changes {
            let Some(entry) = self.store.entry(slot) else { continue };
            let task = Task { core: entry.task.core.clone(), state };
            // What was running has its place among the running already; what will be takes one.
            if self.is_claim(slot, &task) {
                *self.claiming.entry(task.core.task_type.clone()).or_default() += 1;
            }
            match only_lease(&entry.task.state, &task.state) {
                true => writer.lease(sequence, task.id(), task.state.lease_until_ms, task.state.lease_ms),
                false => writer.changed(sequence, task.id(), &task.state),
            }
            self.store.set_busy(slot, sequence, now);
            tasks.push(task.clone());
            effects.push(Effect::Update(slot, task));
        }
        self.reserve(sequence, writer, effects, answer(&tasks), counts, false)
    }

    pub(super) fn reserve(
        &mut self,
        sequence: u64,
        writer: Writer,
        effects: Vec<Effect>,
        answer: Answer,
        counts: Counts,
        refusable: bool,
    ) -> Change {
        self.pending.insert(sequence, Pending { effects, answer, counts });
        Change { sequence, kind: KIND_TASKS, bytes: writer.bytes, refusable }
    }

    /// The task's slot and entry, or that there is none.
    pub(super) fn find(&self, id: TaskId) -> Result<(u32, &Entry), Refusal> {
        let slot = self.store.slot(id).ok_or(Refusal::TaskNotFound)?;
        self.store.entry(slot).map(|entry| (slot, entry)).ok_or(Refusal::TaskNotFound)
    }

    /// Splitmix64.
    pub(super) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.random;
        drawn = (drawn ^ drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^ drawn >> 31
    }

    /// What happened since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

fn only_lease(before: &State, after: &State) -> bool {
    let renewed = State { lease_until_ms: after.lease_until_ms, lease_ms: after.lease_ms, ..before.clone() };
    before.status == Status::Running && renewed == *after
}

/// Whom it concerns that the task stands like this now.
pub(super) fn wake(task: &Task, now: Now) -> Option<Wake> {
    match task.state.status {
        Status::Queued if task.state.not_before_ms > now.mono_ms => None,
        Status::Queued if task.core.session.is_some() || task.core.sticky_worker.is_some() => {
            Some(Wake::Some(task.core.task_type.clone()))
        }
        Status::Queued => Some(Wake::Type(task.core.task_type.clone())),
        Status::Running => None,
        _ => Some(Wake::Task(task.id())),
    }
}
