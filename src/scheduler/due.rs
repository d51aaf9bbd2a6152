//! What time does: silent peers lose their tasks, tasks that nobody completes are given out again, old ones go.

use std::ops::Bound;
use std::sync::Arc;

use super::machine::{Draft, Scheduler};
use super::mutant::{Mutant, is};
use super::owner::owner;
use super::request::{Answer, Ticked};
use super::task::{Image, Mark, Spec};
use crate::queue::{Change, Now};

/// Tasks of silent peers that one look considers. The next look goes on behind them.
const MAX_LOOKED_AT: usize = 1_024;

impl Scheduler {
    /// Looks at the time: call it every second or so, and again at once while it gives a change. `None`: nothing is due.
    pub fn tick(&mut self, now: Now) -> Option<Change> {
        let (mut draft, mut ticked) = (Draft::default(), Ticked::default());
        let max = self.settings.max_due_tasks.max(1);
        let overdue: Vec<_> =
            self.table.overdue(now.mono_ms).take(max).map(|entry| entry.image.clone()).collect();
        for image in overdue {
            ticked.overdue += 1;
            self.take(&mut draft, image, now);
        }
        for id in self.removable(now, max - ticked.overdue) {
            ticked.removed += 1;
            self.remove(&mut draft, &id);
        }
        for image in self.orphans(now, max - ticked.overdue - ticked.removed) {
            ticked.taken_over += 1;
            self.take(&mut draft, image, now);
        }
        (!draft.effects.is_empty()).then(|| self.reserve(draft, Answer::Ticked(ticked), now))
    }

    /// This node holds the task now, and nobody has it.
    fn take(&self, draft: &mut Draft, mut image: Image, now: Now) {
        let token = image.next_token(&self.me);
        image.state.mark = Some(Mark { token, assigned: false });
        self.put(draft, image, 0, now);
    }

    /// Completed tasks that need not be kept: too old, or too many.
    fn removable(&self, now: Now, max: usize) -> Vec<Arc<str>> {
        let excess = self.table.counts().completed.saturating_sub(self.settings.max_completed);
        let retention_ms = self.settings.retention_ms;
        let oldest = self.table.oldest_completed().enumerate();
        oldest
            .take_while(|(index, (at_ms, _))| {
                *index < excess || at_ms.saturating_add(retention_ms) <= now.wall_ms
            })
            .take(max)
            .map(|(_, (_, id))| id.clone())
            .collect()
    }

    /// Open tasks of silent peers that are this node's to take over.
    fn orphans(&mut self, now: Now, max: usize) -> Vec<Image> {
        if is(self.mutant, Mutant::NoTakeOver) {
            return Vec::new();
        }
        let silent: Vec<_> =
            self.table.foreign().filter(|(holder, _)| self.peers.is_gone(holder, now)).collect();
        let share = (MAX_LOOKED_AT / silent.len().max(1)).max(1);
        let (mut orphans, mut last) = (Vec::new(), self.looked_at.clone());
        for (_, ids) in silent {
            let after = ids.range((Bound::Excluded(self.looked_at.clone()), Bound::Unbounded));
            let before = ids.range(..=self.looked_at.clone());
            for id in after.chain(before).take(share) {
                last = id.clone();
                let Some(entry) = self.table.get(id) else { continue };
                if orphans.len() < max && self.is_heir(&entry.image.task, now) {
                    orphans.push(entry.image.clone());
                }
            }
        }
        self.looked_at = last;
        orphans
    }

    /// Whether this node is the first of the task's epoch that is there; where none is, the owner among all that are.
    fn is_heir(&self, spec: &Spec, now: Now) -> bool {
        let is_there = |peer: &str| *peer == *self.me || self.peers.is_member(peer, now);
        if let Some(first) = spec.members.iter().find(|member| is_there(member)) {
            return **first == *self.me;
        }
        let all = self.peers.members(now).chain([&*self.me]);
        owner(&spec.clock_root, &spec.task_hash(), all) == Some(&*self.me)
    }
}
