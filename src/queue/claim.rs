//! Claims: which tasks one may take, and taking them under a lease.

use std::collections::HashMap;
use std::sync::Arc;

use super::machine::{Counts, Queue};
use super::request::{Answer, Claim, Refusal};
use super::step::{Asked, Step};
use super::task::{Holder, State, Status, Task, TaskId};
use super::time::Now;

/// What all tasks of one claim may come to, unless one alone is larger: an answer has to carry them.
const MAX_CLAIM_BYTES: usize = 768 << 10;
/// What a task takes there besides payload and result.
const TASK_BYTES: usize = 4 << 10;

/// A task that a claim may take, with all that decides who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: TaskId,
    /// Its type.
    pub task_type: Arc<str>,
    /// Its model.
    pub model_name: Arc<str>,
    /// Until when it is kept for the peer that owns it, on the monotonic clock; `None` when anyone may take it.
    pub held_until_ms: Option<i64>,
}

impl Queue {
    /// The first tasks that a claim may take, best first and at most `max`: for claims by ownership, whose hashing needs no
    /// lock.
    ///
    /// The caller keeps those that the claim's peer owns or that are not held, and passes them to [`Queue::claim`].
    ///
    /// # Errors
    /// `too_large` for a name or a list of types past its bound.
    pub fn candidates(&mut self, now: Now, claim: &Claim, max: usize) -> Result<Vec<Candidate>, Refusal> {
        self.check_claim(claim)?;
        self.promote(now);
        let hold_ms = i64::try_from(self.settings.ownership_hold_ms).unwrap_or(i64::MAX);
        let walked = self.eligible(claim).take(self.settings.max_candidates.min(max));
        let entries = walked.filter_map(|(_, _, slot)| self.store.entry(slot));
        let candidate = |entry: &super::store::Entry| Candidate {
            id: entry.task.id(),
            task_type: entry.task.core.task_type.clone(),
            model_name: entry.task.core.model_name.clone(),
            held_until_ms: entry
                .ready_since_ms
                .map(|since| since.saturating_add(hold_ms))
                .filter(|until| *until > now.mono_ms),
        };
        Ok(entries.map(candidate).collect())
    }

    /// Takes tasks under a lease: the best ones, or of `chosen` (from [`Queue::candidates`]) those that are still there.
    ///
    /// # Errors
    /// `too_large` for a name or a list of types past its bound.
    pub fn claim(&mut self, now: Now, claim: &Claim, chosen: Option<&[TaskId]>) -> Asked {
        self.check_claim(claim)?;
        self.promote(now);
        let slots = match chosen {
            None => self.pick(claim, self.eligible(claim).map(|(_, _, slot)| slot)),
            Some(chosen) => {
                let still =
                    chosen.iter().take(self.settings.max_candidates).filter_map(|id| self.store.slot(*id));
                self.pick(claim, still.filter(|slot| self.may_take(claim, *slot)))
            }
        };
        if slots.is_empty() {
            return Ok(Step::Done(Answer::Claimed(Vec::new())));
        }
        let sequence = self.sequencer.reserve();
        let settings = &self.settings;
        let wish_ms = claim.lease_ms.unwrap_or(settings.default_lease_ms);
        let lease_ms = wish_ms.clamp(settings.min_lease_ms, settings.max_lease_ms);
        let holder = Holder { worker: claim.worker.clone(), peer: claim.peer.clone() };
        let state = |before: &State| State {
            status: Status::Running,
            claims: before.claims.saturating_add(1),
            attempts: before.attempts.saturating_add(1),
            holder: Some(holder.clone()),
            token: sequence,
            lease_until_ms: now.after(lease_ms),
            lease_ms,
            updated_ms: now.wall_ms,
            ..before.clone()
        };
        let entries = slots.iter().filter_map(|slot| Some((*slot, self.store.entry(*slot)?)));
        let changes = entries.map(|(slot, entry)| (slot, state(&entry.task.state))).collect();
        let answer = |tasks: &[Task]| Answer::Claimed(tasks.to_vec());
        Ok(Step::Change(self.reserve_states(sequence, changes, answer, Counts::default(), now)))
    }

    fn check_claim(&self, claim: &Claim) -> Result<(), Refusal> {
        self.check_name("worker_id", Some(&claim.worker))?;
        self.check_name("peer", Some(&claim.peer))?;
        self.check_name("session", claim.session.as_ref())?;
        match claim.types.len() > self.settings.max_claim_types {
            true => Err(Refusal::TooLarge { what: "task_types", max: self.settings.max_claim_types }),
            false => Ok(()),
        }
    }

    fn eligible(&self, claim: &Claim) -> super::ready::Merge<'_> {
        let allowed = |task_type: &str| self.room(task_type) > 0;
        self.store.ready.walk(&claim.types, claim.session.as_ref(), &claim.worker, allowed)
    }

    /// How many more tasks of the type may run.
    fn room(&self, task_type: &str) -> usize {
        let Some(limit) = self.settings.type_limits.get(task_type) else { return usize::MAX };
        let running = self.store.count(Status::Running, task_type);
        limit.saturating_sub(running + self.claiming.get(task_type).copied().unwrap_or(0))
    }

    fn may_take(&self, claim: &Claim, slot: u32) -> bool {
        let Some(entry) = self.store.entry(slot) else { return false };
        let core = &entry.task.core;
        let wanted = claim.types.is_empty() || claim.types.contains(&core.task_type);
        let session = core.session.is_none() || core.session == claim.session;
        let worker = core.sticky_worker.as_ref().is_none_or(|sticky| *sticky == claim.worker);
        entry.ready_since_ms.is_some() && wanted && session && worker
    }

    /// The first slots that fit into the claim and into the limits of their types.
    fn pick(&self, claim: &Claim, slots: impl Iterator<Item = u32>) -> Vec<u32> {
        let max = claim.max_tasks.clamp(1, self.settings.max_claim_tasks);
        let (mut picked, mut taken, mut bytes) = (Vec::new(), HashMap::<&str, usize>::new(), 0);
        let mut first: Option<&Arc<str>> = None;
        // What does not fit is passed over, but not without end.
        for slot in slots.take(self.settings.max_candidates.max(max)) {
            let Some(entry) = self.store.entry(slot) else { continue };
            let task_type = &entry.task.core.task_type;
            if claim.same_type && first.is_some_and(|first| first != task_type) {
                continue;
            }
            let count = taken.entry(task_type).or_default();
            if *count >= self.room(task_type) || picked.contains(&slot) {
                continue;
            }
            bytes += entry.task.bytes() + TASK_BYTES;
            if bytes > MAX_CLAIM_BYTES && !picked.is_empty() {
                break;
            }
            *count += 1;
            first = first.or(Some(task_type));
            picked.push(slot);
            if picked.len() == max {
                break;
            }
        }
        picked
    }
}
