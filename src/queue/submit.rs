//! Submitting a task: its bounds, and its idempotency key.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codec::Writer;
use super::machine::{Counts, Effect, Queue};
use super::request::{Answer, Refusal, Submit};
use super::step::{Asked, Step};
use super::task::{Core, State, Task};
use super::time::Now;

impl Queue {
    /// Puts a task into the queue, or answers with the one that its idempotency key names.
    ///
    /// # Errors
    /// `too_large`, `queue_full`, `idempotency_conflict`.
    pub fn submit(&mut self, now: Now, submit: Submit) -> Asked {
        self.check_submit(&submit)?;
        if let Some(key) = &submit.idempotency_key {
            if let Some(sequence) = self.pending_keys.get(key) {
                return Ok(Step::Wait(*sequence));
            }
            if let Some(id) = self.keyed(key, &submit, now)? {
                return Ok(Step::Done(Answer::Submitted { id, existing: true }));
            }
        }
        if self.store.slot(submit.id).is_some() || self.pending_ids.contains_key(&submit.id) {
            return Err(Refusal::Conflict);
        }
        self.check_room(&submit)?;
        let sequence = self.sequencer.reserve();
        let task = self.new_task(now, sequence, submit);
        let mut writer = Writer::new(now);
        writer.whole(sequence, &task);
        self.pending_bytes += task.bytes();
        self.pending_ids.insert(task.id(), sequence);
        if let Some(key) = &task.core.idempotency_key {
            self.pending_keys.insert(key.clone(), sequence);
        }
        let answer = Answer::Submitted { id: task.id(), existing: false };
        let effects = vec![Effect::New(task)];
        Ok(Step::Change(self.reserve(sequence, writer, effects, answer, Counts::default(), true)))
    }

    /// The task that the key names within its window.
    fn keyed(&self, key: &str, submit: &Submit, now: Now) -> Result<Option<super::TaskId>, Refusal> {
        let Some(entry) = self.store.keyed(key) else { return Ok(None) };
        let core = &entry.task.core;
        let window = self.settings.idempotency_window_ms;
        let created = Now { mono_ms: core.created_mono_ms, ..now };
        if created.after(window) <= now.mono_ms {
            return Ok(None);
        }
        let same = core.task_type == submit.task_type
            && core.model_name == submit.model_name
            && core.payload == submit.payload;
        match same {
            true => Ok(Some(core.id)),
            false => Err(Refusal::Conflict),
        }
    }

    fn check_submit(&self, submit: &Submit) -> Result<(), Refusal> {
        let settings = &self.settings;
        if submit.payload.len() > settings.max_payload_bytes {
            return Err(Refusal::TooLarge { what: "payload", max: settings.max_payload_bytes });
        }
        let names = [
            ("task_type", Some(&submit.task_type)),
            ("model_name", Some(&submit.model_name)),
            ("session", submit.session.as_ref()),
            ("sticky_worker_id", submit.sticky_worker.as_ref()),
            ("idempotency_key", submit.idempotency_key.as_ref()),
        ];
        names.into_iter().try_for_each(|(what, name)| self.check_name(what, name))
    }

    pub(super) fn check_name(&self, what: &'static str, name: Option<&Arc<str>>) -> Result<(), Refusal> {
        let max = self.settings.max_name_bytes;
        match name.is_some_and(|name| name.len() > max) {
            true => Err(Refusal::TooLarge { what, max }),
            false => Ok(()),
        }
    }

    fn check_room(&self, submit: &Submit) -> Result<(), Refusal> {
        if self.store.len() + self.pending_ids.len() >= self.settings.max_tasks {
            return Err(Refusal::QueueFull("max_tasks"));
        }
        if self.store.bytes + self.pending_bytes + submit.payload.len() > self.settings.max_total_bytes {
            return Err(Refusal::QueueFull("max_total_bytes"));
        }
        if self.store.lists.iter().any(|types| types.contains_key(&submit.task_type)) {
            return Ok(());
        }
        let types: BTreeSet<_> = self.store.lists.iter().flat_map(|types| types.keys()).collect();
        match types.len() < self.settings.max_types {
            true => Ok(()),
            false => Err(Refusal::QueueFull("max_types")),
        }
    }

    fn new_task(&self, now: Now, sequence: u64, submit: Submit) -> Task {
        let settings = &self.settings;
        let attempts = submit.max_attempts.filter(|attempts| *attempts > 0);
        let core = Core {
            id: submit.id,
            task_type: self.store.interned(&submit.task_type),
            model_name: submit.model_name,
            payload: submit.payload,
            priority: submit.priority.clamp(1, 10),
            max_attempts: attempts.unwrap_or(settings.default_max_attempts).min(settings.max_attempts),
            session: submit.session,
            sticky_worker: submit.sticky_worker,
            idempotency_key: submit.idempotency_key,
            created_ms: now.wall_ms,
            created_mono_ms: now.mono_ms,
            created_sequence: sequence,
        };
        let not_before_ms = now.after(submit.delay_ms.min(settings.max_delay_ms));
        Task { core: Arc::new(core), state: State::queued(now.wall_ms, not_before_ms) }
    }
}
