//! What a holder says while it holds: heartbeats, progress, release.

use super::machine::{Counts, Queue};
use super::merge;
use super::request::{Answer, Progress, Proof, Refusal};
use super::step::{Asked, Step};
use super::task::{State, Status, Task, TaskId};
use super::time::Now;

impl Queue {
    /// Renews the leases of a worker or peer, and tells it what was cancelled while it held it.
    ///
    /// At most `max_renewals` leases; one whose task is being changed at this moment is left as it is.
    pub fn heartbeat(&mut self, now: Now, name: &str) -> Step {
        self.forget_cancelled(now, name);
        let (mut renewed, mut cancelled) = (Vec::new(), Vec::new());
        let held = self.store.holders.get(name).into_iter().flatten();
        for slot in held.take(self.settings.max_renewals) {
            let Some(entry) = self.store.entry(*slot) else { continue };
            let state = &entry.task.state;
            match state.status {
                Status::Running if entry.busy == 0 => {
                    let until = now.after(state.lease_ms).max(state.lease_until_ms);
                    renewed.push((*slot, State { lease_until_ms: until, ..state.clone() }));
                }
                Status::Cancelled => cancelled.push(entry.task.id()),
                _ => {}
            }
        }
        if renewed.is_empty() {
            return Step::Done(Answer::Renewed { renewed: Vec::new(), cancelled });
        }
        let sequence = self.sequencer.reserve();
        let answer =
            |tasks: &[Task]| Answer::Renewed { renewed: tasks.iter().map(Task::id).collect(), cancelled };
        Step::Change(self.reserve_states(sequence, renewed, answer, Counts::default(), now))
    }

    /// Whom a task was cancelled from is told so until its lease would have ended, and then takes up no place any more.
    fn forget_cancelled(&mut self, now: Now, name: &str) {
        let Some(held) = self.store.holders.get(name) else { return };
        let is_over = |slot: &&u32| {
            self.store.entry(**slot).is_none_or(|entry| {
                entry.task.state.status == Status::Cancelled && entry.task.state.lease_until_ms <= now.mono_ms
            })
        };
        let mut over: Vec<u32> = held.iter().filter(is_over).copied().collect();
        over.sort_unstable();
        if let Some(held) = self.store.holders.get_mut(name) {
            held.retain(|slot| over.binary_search(slot).is_err());
            if held.is_empty() {
                self.store.holders.remove(name);
            }
        }
    }

    /// Gives a task back; the attempt does not count.
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`, `fencing_required`.
    pub fn release(&mut self, now: Now, id: TaskId, proof: &Proof, reason: Option<&str>) -> Asked {
        let (slot, entry) = self.find(id)?;
        if entry.busy != 0 {
            return Ok(Step::Wait(entry.busy));
        }
        let before = &entry.task.state;
        self.speaks_for(before, proof)?;
        let state = State {
            status: Status::Queued,
            attempts: before.attempts.saturating_sub(1),
            holder: None,
            token: 0,
            not_before_ms: now.mono_ms,
            updated_ms: now.wall_ms,
            error: reason.map(|reason| self.cut(reason).into()),
            ..before.clone()
        };
        Ok(self.change_one(now, slot, state, Counts::default()))
    }

    /// Puts a task back that was claimed under this token by somebody who never heard of it: as if there had been no claim.
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`.
    pub fn give_back(&mut self, now: Now, id: TaskId, token: u64) -> Asked {
        let (slot, entry) = self.find(id)?;
        if entry.busy != 0 {
            return Ok(Step::Wait(entry.busy));
        }
        let before = &entry.task.state;
        if before.status != Status::Running || before.token != token {
            return Err(Refusal::LeaseLost);
        }
        let state = State {
            status: Status::Queued,
            claims: before.claims.saturating_sub(1),
            attempts: before.attempts.saturating_sub(1),
            holder: None,
            token: 0,
            not_before_ms: now.mono_ms,
            updated_ms: now.wall_ms,
            ..before.clone()
        };
        Ok(self.change_one(now, slot, state, Counts::default()))
    }

    /// Notes how far a task is, and renews its lease.
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`, `fencing_required`, `invalid_value`, `too_large`.
    pub fn progress(&mut self, now: Now, progress: &Progress) -> Asked {
        let (slot, entry) = self.find(progress.id)?;
        if entry.busy != 0 {
            return Ok(Step::Wait(entry.busy));
        }
        let before = &entry.task.state;
        self.speaks_for(before, &progress.proof)?;
        let news = progress.progress.as_deref();
        let result = merge::progress(before.result.as_deref(), news, &progress.logs, &self.settings)?;
        let state = State {
            result: Some(result),
            lease_until_ms: now.after(before.lease_ms).max(before.lease_until_ms),
            updated_ms: now.wall_ms,
            ..before.clone()
        };
        Ok(self.change_one(now, slot, state, Counts::default()))
    }

    pub(super) fn change_one(&mut self, now: Now, slot: u32, state: State, counts: Counts) -> Step {
        let sequence = self.sequencer.reserve();
        let answer = |tasks: &[Task]| match tasks {
            [task, ..] => Answer::Changed(task.clone()),
            [] => Answer::Cancelled(false),
        };
        Step::Change(self.reserve_states(sequence, vec![(slot, state)], answer, counts, now))
    }

    /// Whether the proof is that of the holder.
    fn speaks_for(&self, state: &State, proof: &Proof) -> Result<(), Refusal> {
        if state.status != Status::Running {
            return Err(Refusal::LeaseLost);
        }
        let holds = match (&proof.token, &proof.name, &state.holder) {
            (Some(token), _, _) => *token == state.token,
            (None, ..) if self.settings.require_fencing => return Err(Refusal::FencingRequired),
            (None, Some(name), Some(holder)) => *name == holder.worker || *name == holder.peer,
            (None, ..) => state.claims <= 1,
        };
        match holds {
            true => Ok(()),
            false => Err(Refusal::LeaseLost),
        }
    }

    /// A text within the bound of errors and reasons.
    pub(super) fn cut<'a>(&self, text: &'a str) -> &'a str {
        let mut end = text.len().min(self.settings.max_error_bytes);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }
}
