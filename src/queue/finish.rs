//! The end of a task, and its way back: complete, fail, retry, cancel, requeue.

use super::machine::{Counts, Queue};
use super::merge;
use super::request::{Answer, Complete, Outcome, Refusal};
use super::step::{Asked, Step};
use super::task::{State, Status, Task, TaskId};
use super::time::Now;

impl Queue {
    /// Ends a task, or puts it back for another attempt.
    ///
    /// A token must be that of the last claim. Without one the task must have been claimed at most once. The same token
    /// a second time changes nothing and gets the task as it stands.
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`, `fencing_required`, `invalid_value`, `too_large`.
    pub fn complete(&mut self, now: Now, complete: &Complete) -> Asked {
        let (slot, entry) = self.find(complete.id)?;
        if entry.busy != 0 {
            return Ok(Step::Wait(entry.busy));
        }
        let before = &entry.task.state;
        self.may_end(before, complete.token)?;
        if before.status.is_finished() && complete.token.is_some() {
            return Ok(Step::Done(Answer::Changed(entry.task.clone())));
        }
        let result = match complete.result.as_deref() {
            Some(new) => merge::results(before.result.as_deref(), new, &self.settings)?,
            None => before.result.clone(),
        };
        let error = complete.error.as_deref().filter(|error| !error.is_empty());
        let error = error.map(|error| self.cut(error).into());
        let state = State { result, error, updated_ms: now.wall_ms, ..before.clone() };
        let max_attempts = entry.task.core.max_attempts;
        let (state, counts) = match complete.outcome {
            Outcome::Completed => (ended(state, Status::Completed, now), Counts::default()),
            Outcome::Cancelled => (ended(state, Status::Cancelled, now), Counts::default()),
            Outcome::Failed { retryable } => {
                let again = retryable && !state.status.is_finished();
                self.failed(now, state, again, max_attempts)
            }
        };
        Ok(self.change_one(now, slot, state, counts))
    }

    fn may_end(&self, state: &State, token: Option<u64>) -> Result<(), Refusal> {
        let held = match token {
            Some(token) => token != 0 && token == state.token && !state.revoked,
            None if self.settings.require_fencing => return Err(Refusal::FencingRequired),
            None => state.claims <= 1 && !state.revoked,
        };
        match held {
            true => Ok(()),
            false => Err(Refusal::LeaseLost),
        }
    }

    fn failed(&mut self, now: Now, state: State, again: bool, max_attempts: u32) -> (State, Counts) {
        if !again {
            return (ended(state, Status::Failed, now), Counts::default());
        }
        if state.attempts >= max_attempts {
            let dead = State { dead: true, ..ended(state, Status::Failed, now) };
            return (dead, Counts { dead_letters: 1, ..Counts::default() });
        }
        let delay_ms = self.backoff_ms(state.attempts);
        let queued = State {
            status: Status::Queued,
            holder: None,
            token: 0,
            not_before_ms: now.after(delay_ms),
            ..state
        };
        (queued, Counts { retries: 1, ..Counts::default() })
    }

    /// Full jitter: anything up to a bound that doubles with each attempt.
    fn backoff_ms(&mut self, attempts: u32) -> u64 {
        let doubled = 1u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
        let bound = self.settings.backoff_base_ms.saturating_mul(doubled).min(self.settings.backoff_cap_ms);
        self.draw() % bound.saturating_add(1).max(1)
    }

    /// Cancels a task that has not finished; its holder hears of it with its next heartbeat.
    ///
    /// # Errors
    /// None for a task that is not there or has finished: that is the answer `false`.
    pub fn cancel(&mut self, now: Now, id: TaskId, reason: Option<&str>) -> Asked {
        let Ok((slot, entry)) = self.find(id) else { return Ok(Step::Done(Answer::Cancelled(false))) };
        if entry.busy != 0 {
            return Ok(Step::Wait(entry.busy));
        }
        let before = &entry.task.state;
        if before.status.is_finished() {
            return Ok(Step::Done(Answer::Cancelled(false)));
        }
        let seconds = now.wall_ms as f64 / 1e3;
        let note = serde_json::json!({"cancel_reason": reason.map(|reason| self.cut(reason)), "cancelled_at": seconds});
        // A result that is full already stays as it is: to cancel must never fail.
        let noted = merge::progress(before.result.as_deref(), Some(&note.to_string()), &[], &self.settings);
        let state = State {
            revoked: before.status == Status::Running,
            result: noted.ok().or_else(|| before.result.clone()),
            updated_ms: now.wall_ms,
            ..before.clone()
        };
        let state = ended(state, Status::Cancelled, now);
        let sequence = self.sequencer.reserve();
        let answer = |_: &[Task]| Answer::Cancelled(true);
        Ok(Step::Change(self.reserve_states(sequence, vec![(slot, state)], answer, Counts::default(), now)))
    }

    /// Puts a failed or cancelled task back, with all its attempts.
    ///
    /// # Errors
    /// `task_not_found`, `task_not_finished`.
    pub fn requeue(&mut self, now: Now, id: TaskId) -> Asked {
        let (slot, entry) = self.find(id)?;
        if entry.busy != 0 {
            return Ok(Step::Wait(entry.busy));
        }
        let before = &entry.task.state;
        if !matches!(before.status, Status::Failed | Status::Cancelled) {
            return Err(Refusal::NotFinished);
        }
        let state = State {
            status: Status::Queued,
            attempts: 0,
            holder: None,
            token: 0,
            not_before_ms: now.mono_ms,
            updated_ms: now.wall_ms,
            dead: false,
            revoked: false,
            ..before.clone()
        };
        Ok(self.change_one(now, slot, state, Counts::default()))
    }
}

/// The state of a task that finishes now, or finished before.
pub(super) fn ended(state: State, status: Status, now: Now) -> State {
    let finished_mono_ms = match state.status.is_finished() {
        true => state.finished_mono_ms,
        false => now.mono_ms,
    };
    State { status, finished_mono_ms, ..state }
}
