//! The scheduler itself: reservation, commit and abort of changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::mutant::Mutant;
use super::peers::Peers;
use super::record::Record;
use super::request::{Answer, Committed};
use super::settings::Settings;
use super::table::{Counts, Table};
use super::task::Image;
use super::wire::{News, Verifier};
use super::{KIND_WORKFLOWS, MerkleClock, sha256_hex};
use crate::queue::{Change, Now, Sequencer};

/// What a commit does to one task.
#[derive(Debug)]
pub(super) enum Effect {
    Put { image: Image, sequence: u64, until_ms: i64 },
    Remove(Arc<str>),
}

impl Effect {
    fn id(&self) -> Arc<str> {
        match self {
            Effect::Put { image, .. } => (&*image.task.task_id).into(),
            Effect::Remove(id) => id.clone(),
        }
    }
}

/// A change between its reservation and its commit.
#[derive(Debug)]
struct Pending {
    effects: Vec<Effect>,
    answer: Answer,
    read: Option<Page>,
    /// Bytes of tasks that are not known yet, and how many they are.
    new: (usize, usize),
}

/// A page of a peer's feed that has been taken over.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) peer_id: Box<str>,
    pub(super) after: u64,
    pub(super) news: News,
    pub(super) missed: bool,
    pub(super) more: bool,
}

impl Draft {
    /// Of a change that a full disk may refuse.
    pub(super) fn refusable() -> Draft {
        Draft { refusable: true, ..Draft::default() }
    }
}

/// A change that is being put together.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) effects: Vec<Effect>,
    pub(super) record: Record,
    pub(super) read: Option<Page>,
    pub(super) refusable: bool,
    first: Option<u64>,
    new: (usize, usize),
}

/// The workflow tasks of a node. One for the process, behind one short lock of the caller's.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) me: Arc<str>,
    pub(super) settings: Settings,
    pub(super) clock: MerkleClock,
    pub(super) peers: Peers,
    pub(super) table: Table,
    pub(super) feed: Box<str>,
    pub(super) mutant: Option<Mutant>,
    /// Where the last look at the tasks of silent peers ended.
    pub(super) looked_at: Arc<str>,
    /// Removals that were replayed, so that an older record does not bring a task back.
    pub(super) gone: HashMap<Arc<str>, u64>,
    pub(super) sequencer: Sequencer,
    pending: BTreeMap<u64, Pending>,
    /// Tasks that a change is being committed for.
    busy: HashMap<Arc<str>, u64>,
    pending_new: (usize, usize),
}

impl Scheduler {
    /// A scheduler without tasks. `seed` is random and names this start to peers, nothing else.
    pub fn new(peer_id: &str, settings: Settings, sequencer: Sequencer, seed: u64) -> Scheduler {
        let me: Arc<str> = peer_id.into();
        let feed = sha256_hex(&format!("{peer_id}:{seed}"));
        Scheduler {
            clock: MerkleClock::new(peer_id, settings.max_clock_entries),
            peers: Peers::new(settings.max_peers, settings.peer_timeout_ms),
            table: Table::new(me.clone()),
            feed: feed[..16].into(),
            mutant: None,
            looked_at: "".into(),
            gone: HashMap::new(),
            sequencer,
            pending: BTreeMap::new(),
            busy: HashMap::new(),
            pending_new: (0, 0),
            me,
            settings,
        }
    }

    /// What is in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock.
    pub fn clock(&self) -> &MerkleClock {
        &self.clock
    }

    /// How many tasks there are.
    pub fn counts(&self) -> Counts {
        self.table.counts()
    }

    /// Bytes of all tasks.
    pub fn bytes(&self) -> usize {
        self.table.bytes
    }

    /// How many peers were heard of and are remembered.
    pub fn known_peer_count(&self) -> usize {
        self.peers.heard()
    }

    /// A durable task as it stands.
    pub fn task(&self, task_id: &str) -> Option<&Image> {
        self.table.get(task_id).map(|entry| &entry.image)
    }

    /// What checks the answers of peers, outside of the lock.
    pub fn verifier(&self) -> Verifier {
        Verifier { settings: self.settings.clone(), me: self.me.clone(), mutant: self.mutant }
    }

    /// The sequence of the change that a task waits for.
    pub(super) fn busy(&self, id: &str) -> Option<u64> {
        self.busy.get(id).copied()
    }

    /// Whether there is room for so many more bytes in one more task, with those of the draft.
    pub(super) fn room_for(&self, draft: &Draft, bytes: usize) -> Result<(), &'static str> {
        let (pending_bytes, pending_tasks) = self.pending_new;
        if self.table.len() + pending_tasks + draft.new.1 >= self.settings.max_tasks {
            return Err("max_workflow_tasks");
        }
        match self.table.bytes + pending_bytes + draft.new.0 + bytes > self.settings.max_total_bytes {
            true => Err("max_workflow_bytes"),
            false => Ok(()),
        }
    }

    /// Adds a task as it will be to a draft. Each has a place of its own in the feed.
    pub(super) fn put(&self, draft: &mut Draft, image: Image, until_ms: i64, now: Now) {
        let sequence = self.sequencer.reserve();
        draft.first.get_or_insert(sequence);
        if self.table.get(&image.task.task_id).is_none() {
            draft.new.0 += image.bytes();
            draft.new.1 += 1;
        }
        draft.record.put(sequence, &image, until_ms, now);
        draft.effects.push(Effect::Put { image, sequence, until_ms });
    }

    /// Adds that a task goes.
    pub(super) fn remove(&self, draft: &mut Draft, id: &Arc<str>) {
        let sequence = self.sequencer.reserve();
        draft.first.get_or_insert(sequence);
        draft.record.remove(sequence, id);
        draft.effects.push(Effect::Remove(id.clone()));
    }

    pub(super) fn reserve(&mut self, mut draft: Draft, answer: Answer, now: Now) -> Change {
        let sequence = draft.first.unwrap_or_else(|| self.sequencer.reserve());
        for effect in &draft.effects {
            let id = effect.id();
            self.table.hide(&id);
            self.busy.insert(id, sequence);
        }
        let (effects, read, new) = (draft.effects, draft.read, draft.new);
        self.pending_new = (self.pending_new.0 + new.0, self.pending_new.1 + new.1);
        self.pending.insert(sequence, Pending { effects, answer, read, new });
        let bytes = draft.record.bytes(now);
        Change { sequence, kind: KIND_WORKFLOWS, bytes, refusable: draft.refusable }
    }

    /// Makes a journalled change visible; `None` for a sequence that is not reserved.
    pub fn commit(&mut self, sequence: u64) -> Option<Committed> {
        let pending = self.settle(sequence)?;
        let mut tell = None;
        for effect in pending.effects {
            match effect {
                Effect::Put { image, sequence, until_ms } => {
                    if matches!(pending.answer, Answer::Submitted(_)) && *image.holder() != *self.me {
                        tell = Some(image.holder().into());
                    }
                    self.table.put(image, sequence, until_ms);
                }
                Effect::Remove(id) => self.table.remove(&id),
            }
        }
        if let Some(page) = &pending.read {
            self.turn(page);
        }
        Some(Committed { answer: pending.answer, tell })
    }

    /// Undoes a reservation whose record will never be written.
    pub fn abort(&mut self, sequence: u64) {
        for effect in self.settle(sequence).into_iter().flat_map(|pending| pending.effects) {
            self.table.show(&effect.id());
        }
    }

    fn settle(&mut self, sequence: u64) -> Option<Pending> {
        let pending = self.pending.remove(&sequence)?;
        let new = pending.new;
        self.pending_new = (self.pending_new.0 - new.0, self.pending_new.1 - new.1);
        for effect in &pending.effects {
            self.busy.remove(&effect.id());
        }
        Some(pending)
    }

    /// Whether a change up to this sequence is reserved and neither committed nor aborted.
    pub fn is_pending_up_to(&self, sequence: u64) -> bool {
        self.pending.first_key_value().is_some_and(|(first, _)| *first <= sequence)
    }

    /// The feed is told up to here: what is being committed may take any place from here on.
    pub(super) fn horizon(&self) -> u64 {
        self.pending.first_key_value().map_or(u64::MAX, |(first, _)| *first)
    }
}
