//! The order in which tasks are claimed, by type, session and worker.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, btree_set};
use std::sync::Arc;

use super::task::Core;

/// A task's place: rank (priority and age), then the sequence of its submission; last the slot it lies in.
pub(super) type Place = (u64, u64, u32);
type Affinity = (Option<Arc<str>>, Option<Arc<str>>);

/// The tasks that may be claimed, in order, by what a claim must bring: a type, a session, a worker's name.
///
/// A claim merges at most four sets a type, so that its cost does not grow with what is queued.
#[derive(Debug, Default)]
pub(super) struct Ready {
    lanes: HashMap<Affinity, HashMap<Arc<str>, BTreeSet<Place>>>,
    count: usize,
}

/// Where a task stands in the order.
pub(super) fn place(core: &Core, ageing_ms: u64, slot: u32) -> Place {
    let below = u64::from(10 - core.priority.clamp(1, 10));
    let created_ms = core.created_ms & ((1 << 56) - 1);
    let rank = match ageing_ms {
        0 => below << 56 | created_ms,
        // A task of a lower priority is one that was created later: the order never changes while tasks wait.
        step => created_ms.saturating_add(below.saturating_mul(step)),
    };
    (rank, core.created_sequence, slot)
}

fn affinity(core: &Core) -> Affinity {
    (core.session.clone(), core.sticky_worker.clone())
}

impl Ready {
    pub(super) fn insert(&mut self, core: &Core, place: Place) {
        let lanes = self.lanes.entry(affinity(core)).or_default();
        let new = lanes.entry(core.task_type.clone()).or_default().insert(place);
        self.count += usize::from(new);
    }

    pub(super) fn remove(&mut self, core: &Core, place: &Place) {
        let key = affinity(core);
        let Some(lanes) = self.lanes.get_mut(&key) else { return };
        let Some(lane) = lanes.get_mut(&core.task_type) else { return };
        self.count -= usize::from(lane.remove(place));
        if lane.is_empty() {
            lanes.remove(&core.task_type);
        }
        if lanes.is_empty() {
            self.lanes.remove(&key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The tasks that a claim may take, best first.
    pub(super) fn walk(
        &self,
        types: &[Arc<str>],
        session: Option<&Arc<str>>,
        worker: &Arc<str>,
        allowed: impl Fn(&str) -> bool,
    ) -> Merge<'_> {
        let mut merge = Merge::default();
        let sessions = [None, session.cloned()];
        for (index, session) in sessions.iter().enumerate() {
            if index == 1 && session.is_none() {
                continue;
            }
            for sticky in [None, Some(worker.clone())] {
                let Some(lanes) = self.lanes.get(&(session.clone(), sticky)) else { continue };
                match types.is_empty() {
                    true => {
                        lanes.iter().filter(|(name, _)| allowed(name)).for_each(|(_, lane)| merge.add(lane))
                    }
                    false => {
                        let named = types.iter().enumerate();
                        // A type that is named twice is one type.
                        named
                            .filter(|(at, name)| !types[..*at].contains(name) && allowed(name))
                            .filter_map(|(_, name)| lanes.get(name))
                            .for_each(|lane| merge.add(lane));
                    }
                }
            }
        }
        merge
    }
}

/// Several ordered sets as one.
#[derive(Debug, Default)]
pub(super) struct Merge<'a> {
    heads: BinaryHeap<Reverse<(Place, usize)>>,
    rest: Vec<btree_set::Range<'a, Place>>,
}

impl<'a> Merge<'a> {
    pub(super) fn add(&mut self, set: &'a BTreeSet<Place>) {
        self.add_range(set.range(..));
    }

    pub(super) fn add_range(&mut self, mut range: btree_set::Range<'a, Place>) {
        if let Some(first) = range.next() {
            self.heads.push(Reverse((*first, self.rest.len())));
            self.rest.push(range);
        }
    }
}

impl Iterator for Merge<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let Reverse((place, from)) = self.heads.pop()?;
        if let Some(next) = self.rest[from].next() {
            self.heads.push(Reverse((*next, from)));
        }
        Some(place)
    }
}
