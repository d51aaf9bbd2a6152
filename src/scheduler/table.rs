//! The durable tasks and the indexes over them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::task::{Image, Status};

/// A task that is durable.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) image: Image,
    /// The sequence of its last change, which is its place in the feed.
    pub(super) sequence: u64,
    /// When it is given out again, on the monotonic clock, while this node holds it and somebody has it.
    pub(super) until_ms: i64,
    /// At most so many bytes as JSON.
    pub(super) bytes: usize,
    /// Whether a change of it is being committed; then nothing else happens to it.
    is_hidden: bool,
}

/// How many tasks there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks that nobody has, whoever holds them.
    pub pending: usize,
    /// Tasks that somebody has.
    pub assigned: usize,
    /// Tasks that are done.
    pub completed: usize,
    /// Pending tasks that this node would give out.
    pub ready: usize,
}

impl Counts {
    /// All tasks.
    pub fn all(&self) -> usize {
        self.pending + self.assigned + self.completed
    }
}

/// The tasks. The order of the ready ones: priority, then age, then id.
#[derive(Debug)]
pub(super) struct Table {
    me: Arc<str>,
    tasks: BTreeMap<Arc<str>, Entry>,
    pub(super) bytes: usize,
    feed: BTreeMap<u64, Arc<str>>,
    ready: BTreeSet<(u8, u64, Arc<str>)>,
    assigned: BTreeSet<(i64, Arc<str>)>,
    completed: BTreeSet<(u64, Arc<str>)>,
    /// Open tasks that others hold, by holder.
    foreign: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    counts: Counts,
}

impl Table {
    pub(super) fn new(me: Arc<str>) -> Table {
        Table {
            me,
            tasks: BTreeMap::new(),
            bytes: 0,
            feed: BTreeMap::new(),
            ready: BTreeSet::new(),
            assigned: BTreeSet::new(),
            completed: BTreeSet::new(),
            foreign: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.tasks.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { ready: self.ready.len(), ..self.counts }
    }

    pub(super) fn put(&mut self, image: Image, sequence: u64, until_ms: i64) {
        let id: Arc<str> = (&*image.task.task_id).into();
        self.remove(&id);
        let bytes = image.bytes();
        self.bytes += bytes;
        self.feed.insert(sequence, id.clone());
        self.tasks.insert(id.clone(), Entry { image, sequence, until_ms, bytes, is_hidden: true });
        *self.count(&id) += 1;
        self.show(&id);
    }

    pub(super) fn remove(&mut self, id: &Arc<str>) {
        self.hide(id);
        if !self.tasks.contains_key(id) {
            return;
        }
        *self.count(id) -= 1;
        let Some(entry) = self.tasks.remove(id) else { return };
        self.bytes -= entry.bytes;
        self.feed.remove(&entry.sequence);
    }

    fn count(&mut self, id: &Arc<str>) -> &mut usize {
        match self.tasks.get(id).map(|entry| entry.image.state.status()) {
            Some(Status::Assigned) => &mut self.counts.assigned,
            Some(Status::Completed) => &mut self.counts.completed,
            _ => &mut self.counts.pending,
        }
    }

    /// Takes a task out of what can happen next.
    pub(super) fn hide(&mut self, id: &Arc<str>) {
        let Some(entry) = self.tasks.get_mut(id).filter(|entry| !entry.is_hidden) else { return };
        entry.is_hidden = true;
        let (spec, holder) = (&entry.image.task, entry.image.holder());
        match (entry.image.state.status(), *holder == *self.me) {
            (Status::Completed, _) => drop(self.completed.remove(&completed_key(&entry.image, id))),
            (Status::Pending, true) => {
                self.ready.remove(&(10 - spec.priority.min(10), spec.submitted_ms, id.clone()));
            }
            (Status::Assigned, true) => drop(self.assigned.remove(&(entry.until_ms, id.clone()))),
            (_, false) => {
                if let Some(ids) = self.foreign.get_mut(holder) {
                    ids.remove(id);
                    if ids.is_empty() {
                        self.foreign.remove(holder);
                    }
                }
            }
        }
    }

    /// Puts it back.
    pub(super) fn show(&mut self, id: &Arc<str>) {
        let Some(entry) = self.tasks.get_mut(id).filter(|entry| entry.is_hidden) else { return };
        entry.is_hidden = false;
        let (spec, holder) = (&entry.image.task, entry.image.holder());
        match (entry.image.state.status(), *holder == *self.me) {
            (Status::Completed, _) => drop(self.completed.insert(completed_key(&entry.image, id))),
            (Status::Pending, true) => {
                self.ready.insert((10 - spec.priority.min(10), spec.submitted_ms, id.clone()));
            }
            (Status::Assigned, true) => drop(self.assigned.insert((entry.until_ms, id.clone()))),
            (_, false) => drop(self.foreign.entry(holder.into()).or_default().insert(id.clone())),
        }
    }

    /// The task that is given out next.
    pub(super) fn first_ready(&self) -> Option<&Entry> {
        self.ready.first().and_then(|(_, _, id)| self.tasks.get(id))
    }

    /// Tasks of this node that were given out and whose time is over.
    pub(super) fn overdue(&self, now_ms: i64) -> impl Iterator<Item = &Entry> {
        let over = self.assigned.iter().take_while(move |(until_ms, _)| *until_ms <= now_ms);
        over.filter_map(|(_, id)| self.tasks.get(id))
    }

    /// Completed tasks, the oldest first, with when they were completed.
    pub(super) fn oldest_completed(&self) -> impl Iterator<Item = (u64, &Arc<str>)> {
        self.completed.iter().map(|(at_ms, id)| (*at_ms, id))
    }

    /// Others that hold open tasks, with the tasks' ids.
    pub(super) fn foreign(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeSet<Arc<str>>)> {
        self.foreign.iter()
    }

    /// Changes after a place of the feed and before another.
    pub(super) fn feed(&self, after: u64, before: u64) -> impl Iterator<Item = &Entry> {
        let from = after.saturating_add(1).min(before);
        self.feed.range(from..before).filter_map(|(_, id)| self.tasks.get(id))
    }

    /// The place of the last change before another.
    pub(super) fn end(&self, before: u64) -> u64 {
        self.feed.range(..before).next_back().map_or(0, |(sequence, _)| *sequence)
    }

    /// Tasks by id, from one on.
    pub(super) fn from(&self, id: &str) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.tasks.range::<str, _>((Bound::Included(id), Bound::Unbounded))
    }
}

fn completed_key(image: &Image, id: &Arc<str>) -> (u64, Arc<str>) {
    (image.state.completion.as_ref().map_or(0, |done| done.at_ms), id.clone())
}
