//! What time alone brings about: delays that end, leases that run out, tasks that were kept for long enough.

use std::sync::Arc;

use super::codec::Writer;
use super::finish::ended;
use super::machine::{Counts, Effect, Queue, wake};
use super::request::Answer;
use super::step::{Change, Step, Wake};
use super::task::{State, Status};
use super::time::Now;

/// Delays that a claim looks at before it looks for a task.
const PROMOTED_BY_A_CLAIM: usize = 256;
/// Timers that are passed over because a change of their task is being committed.
const PASSED_OVER: usize = 1_024;

/// What time did.
#[derive(Debug, Default)]
pub struct Ticked {
    /// Leases that ended and tasks that were kept long enough: to be journalled and committed as any change.
    pub changes: Vec<Change>,
    /// Tasks whose delay is over.
    pub wakes: Vec<Wake>,
}

impl Queue {
    /// When [`Queue::tick`] has something to do next, on the monotonic clock; never if nothing happens.
    pub fn next_due(&self) -> Option<i64> {
        let idle = |slot: u32| self.store.entry(slot).is_some_and(|entry| entry.busy == 0);
        let timer =
            self.store.timers.iter().take(PASSED_OVER).find(|(_, slot)| idle(*slot)).map(|(at, _)| *at);
        let finished = self.store.finished.iter().take(PASSED_OVER).find(|(.., slot)| idle(*slot));
        let over = self.store.finished.len() > self.settings.max_finished || self.excess_bytes() > 0;
        let kept =
            finished.map(|(at, ..)| if over { i64::MIN } else { at.saturating_add(self.retention_ms()) });
        timer.into_iter().chain(kept).min()
    }

    /// Does what is due, at most `budget` things; ends of leases first.
    pub fn tick(&mut self, now: Now, budget: usize) -> Ticked {
        let mut ticked = Ticked::default();
        let due = self.due(now, budget);
        for slot in due {
            let Some(entry) = self.store.entry(slot) else { continue };
            match entry.task.state.status {
                Status::Queued => {
                    // A claim may have made it ready already; who waits for it hears of it here alone.
                    self.store.timers.remove(&(entry.task.state.not_before_ms, slot));
                    self.store.make_ready(slot, now);
                    ticked.wakes.extend(self.store.entry(slot).and_then(|entry| wake(&entry.task, now)));
                }
                Status::Running => {
                    if let Step::Change(change) = self.expire(now, slot) {
                        ticked.changes.push(change);
                    }
                }
                _ => {}
            }
        }
        let left = budget.saturating_sub(ticked.changes.len() + ticked.wakes.len());
        self.retire(now, left, &mut ticked);
        ticked
    }

    /// Delays that are over, so that a claim sees their tasks before the next tick, which tells who waits for them.
    pub(super) fn promote(&mut self, now: Now) {
        if self.store.timers.first().is_none_or(|(at, _)| *at > now.mono_ms) {
            return;
        }
        for slot in self.due(now, PROMOTED_BY_A_CLAIM) {
            self.store.make_ready(slot, now);
        }
    }

    fn due(&self, now: Now, budget: usize) -> Vec<u32> {
        let due = self.store.timers.iter().take_while(|(at, _)| *at <= now.mono_ms);
        let slots = due.take(budget.saturating_add(PASSED_OVER)).map(|(_, slot)| *slot);
        slots
            .filter(|slot| self.store.entry(*slot).is_some_and(|entry| entry.busy == 0))
            .take(budget)
            .collect()
    }

    fn expire(&mut self, now: Now, slot: u32) -> Step {
        let Some(entry) = self.store.entry(slot) else { return Step::Done(Answer::Cancelled(false)) };
        let max_attempts = entry.task.core.max_attempts;
        let before = State { updated_ms: now.wall_ms, ..entry.task.state.clone() };
        let mut counts = Counts { lease_expiries: 1, ..Counts::default() };
        let state = match before.attempts >= max_attempts {
            true => {
                counts.dead_letters = 1;
                let error: Option<Arc<str>> =
                    Some("the lease of the last attempt ended without an answer".into());
                State { dead: true, error, ..ended(before, Status::Failed, now) }
            }
            // The token stays: who held it last may still end the task while nobody has claimed it again.
            false => State { status: Status::Queued, holder: None, not_before_ms: now.mono_ms, ..before },
        };
        self.change_one(now, slot, state, counts)
    }

    /// Bytes that finished tasks should make room for: what is over seven eighths of the bound, so that results do not
    /// stand in the way of submits.
    fn excess_bytes(&self) -> usize {
        let max = self.settings.max_total_bytes;
        self.store.bytes.saturating_sub(max - max / 8)
    }

    /// Lets finished tasks go: the oldest, past their time, past their number, or for the room that they take.
    fn retire(&mut self, now: Now, budget: usize, ticked: &mut Ticked) {
        let surplus = self.store.finished.len().saturating_sub(self.settings.max_finished);
        let kept_ms = self.retention_ms();
        let oldest = self.store.finished.iter().take(budget.saturating_add(PASSED_OVER)).enumerate();
        let mut excess = self.excess_bytes();
        let over = oldest.filter(|(at, (finished, _, slot))| {
            let is_over = *at < surplus || excess > 0 || finished.saturating_add(kept_ms) <= now.mono_ms;
            let bytes = self.store.entry(*slot).map_or(0, |entry| entry.task.bytes());
            excess = excess.saturating_sub(bytes);
            is_over
        });
        let slots = over.map(|(_, (.., slot))| *slot);
        let idle = slots.filter(|slot| self.store.entry(*slot).is_some_and(|entry| entry.busy == 0));
        for slot in idle.take(budget).collect::<Vec<_>>() {
            let Some(id) = self.store.entry(slot).map(|entry| entry.task.id()) else { continue };
            let sequence = self.sequencer.reserve();
            let mut writer = Writer::new(now);
            writer.removed(sequence, id);
            self.store.set_busy(slot, sequence, now);
            let counts = Counts { removed: 1, ..Counts::default() };
            let effects = vec![Effect::Remove(slot)];
            ticked.changes.push(self.reserve(sequence, writer, effects, Answer::Removed(id), counts, false));
        }
    }

    /// As long as its idempotency key may be used, a task is kept by time.
    fn retention_ms(&self) -> i64 {
        i64::try_from(self.settings.retention_ms.max(self.settings.idempotency_window_ms)).unwrap_or(i64::MAX)
    }
}
