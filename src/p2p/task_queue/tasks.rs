//! The operations of the queue: read, asked of the store, written.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::Caller;
use super::claims::{self, Ownership};
use super::codes::ErrorCode;
use super::fields::{Field, Fields};
use super::operations::Operation;
use super::queue::{MAX_ANSWER_BYTES, TaskQueue};
use super::readable;
use super::refusal::Refusal;
use super::submits;
use super::task_json::{self, Omit};
use crate::limits::Limit;
use crate::mcp::json::Object;
use crate::queue::{Complete, Outcome, Proof, Status, Task, TaskId, cursor_after};
use crate::store::LocalStore;

/// What an answer takes besides its tasks.
const ENVELOPE_BYTES: usize = 4 << 10;
/// A task of a list is not longer than this; parts of it are left out.
const LISTED_BYTES: usize = 256 << 10;
/// How long `wait` waits where the request does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);
const DEFAULT_LIST: usize = 50;
const MAX_LIST: f64 = 1_000.0;
/// Types that a list may be narrowed down to.
const MAX_LIST_TYPES: usize = 128;

/// What an operation answers, and the limit that it met on its way.
pub(super) type Answer = Result<(String, Option<Limit>), Refusal>;

impl TaskQueue {
    /// Answers an operation of the queue.
    pub(super) async fn task_operation(
        &self,
        operation: Operation,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        store: &LocalStore,
    ) -> Answer {
        match operation {
            Operation::Submit => self.submit(fields, store).await,
            Operation::Claim => self.claim(fields, caller, store, false).await,
            Operation::ClaimMany => self.claim(fields, caller, store, true).await,
            Operation::Complete => self.complete(fields, store).await,
            Operation::Release => self.release(fields, store).await,
            Operation::Cancel => self.cancel(fields, store).await,
            Operation::Requeue => self.requeue(fields, store).await,
            Operation::List => self.list(fields, store),
            Operation::Get => Ok((self.one(store, known(fields).and_then(|id| store.task(id))), None)),
            _ => self.wait(fields, store).await,
        }
    }

    async fn submit(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let submit = submits::read(fields, store.new_task_id(), store.now(), self.depth())?;
        let submitted = store.submit(submit).await?;
        Ok((self.ended(submitted.id, |_| {}), None))
    }

    async fn claim(
        &self,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        store: &LocalStore,
        several: bool,
    ) -> Answer {
        let heard = self.note_claim(fields, caller)?;
        let asked = claims::read(fields, caller, several, self.max_wait())?;
        let ownership = Ownership::new(self, asked.claim.peer.clone());
        let owns = |candidate: &_| ownership.owns(candidate);
        let owns = self.options.deterministic.then_some(&owns as &dyn Fn(&_) -> bool);
        let tasks = store.claim(&asked.claim, owns, asked.wait).await?;
        let room = (MAX_ANSWER_BYTES - ENVELOPE_BYTES) / tasks.len().max(1);
        let now = store.now();
        let write = |max_bytes| {
            let text = move |task: &Task| task_json::task(task, now, max_bytes, Omit::ResultFirst);
            tasks.iter().map(text).collect::<Vec<_>>()
        };
        let mut texts = write(MAX_ANSWER_BYTES - ENVELOPE_BYTES);
        if texts.iter().map(|text| text.len() + 1).sum::<usize>() > MAX_ANSWER_BYTES - ENVELOPE_BYTES {
            texts = write(room);
        }
        let json = self.object(|object| {
            object.raw("ok", "true");
            if !several {
                object.raw("task", texts.first().map_or("null", String::as_str));
            }
            if several || asked.claim.max_tasks > 1 {
                object.raw("tasks", &format!("[{}]", texts.join(",")));
            }
        });
        Ok((json, heard.limit))
    }

    async fn complete(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let id = needed(fields)?;
        let status = fields.text(&[Field::Status]).map(|status| status.to_ascii_lowercase());
        let outcome = match status.as_deref() {
            None | Some("completed") => Outcome::Completed,
            Some("cancelled") => Outcome::Cancelled,
            Some(_) => Outcome::Failed { retryable: fields.flag(Field::Retryable) },
        };
        let result = fields.first(&[Field::Result]);
        readable::check("result", result)?;
        let complete = Complete {
            id,
            outcome,
            result: result.map(Arc::from),
            error: fields.as_given(Field::Error).map(Arc::from),
            token: fields.token(Field::FencingToken)?,
        };
        let task = store.complete(&complete).await?;
        Ok((self.ended(id, |object| object.string("status", task.state.status.as_str())), None))
    }

    async fn release(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let id = needed(fields)?;
        let name = fields.text(&[Field::WorkerId]).map(Arc::from);
        let proof = Proof { token: fields.token(Field::FencingToken)?, name };
        store.release(id, &proof, fields.as_given(Field::Reason).as_deref()).await?;
        Ok((self.ended(id, |_| {}), None))
    }

    async fn cancel(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let text = fields.text(&[Field::TaskId]).unwrap_or_default();
        let reason = fields.as_given(Field::Reason);
        let cancelled = match TaskId::parse(&text) {
            Some(id) => store.cancel(id, reason.as_deref()).await?,
            None => false,
        };
        let json = self.object(|object| {
            object.raw("ok", "true");
            object.string("task_id", &text);
            object.raw("cancelled", if cancelled { "true" } else { "false" });
        });
        Ok((json, None))
    }

    async fn requeue(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let id = needed(fields)?;
        store.requeue(id).await?;
        Ok((self.ended(id, |_| {}), None))
    }

    fn list(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let status = fields.text(&[Field::Status]).map(|status| status.to_ascii_lowercase());
        let limit = match fields.number_if_any(Field::Limit) {
            None => DEFAULT_LIST,
            Some(limit) => limit.clamp(1.0, MAX_LIST) as usize,
        };
        let types = fields.list(&[Field::TaskTypes], MAX_LIST_TYPES, MAX_ANSWER_BYTES);
        let types: Vec<Arc<str>> = types.into_iter().map(Arc::from).collect();
        let cursor = fields.text(&[Field::Cursor]);
        let (mut texts, mut next) = (Vec::new(), None);
        // No task has a status that is not known.
        let parsed = status.as_deref().map(Status::parse);
        if parsed != Some(None) {
            let room = MAX_ANSWER_BYTES - ENVELOPE_BYTES;
            let page = store.list(parsed.flatten(), &types, cursor.as_deref(), limit, room)?;
            let (mut bytes, now) = (0, store.now());
            next = page.cursor;
            let mut last: Option<&Task> = None;
            for task in &page.tasks {
                let text = task_json::task(task, now, LISTED_BYTES, Omit::PayloadFirst);
                bytes += text.len() + 1;
                if bytes > room {
                    next = last.map(cursor_after);
                    break;
                }
                texts.push(text);
                last = Some(task);
            }
        }
        let json = self.object(|object| {
            object.raw("ok", "true");
            object.raw("tasks", &format!("[{}]", texts.join(",")));
            object.maybe("cursor", next.as_deref());
        });
        Ok((json, None))
    }

    async fn wait(&self, fields: &Fields<'_>, store: &LocalStore) -> Answer {
        let seconds = fields.number(Field::TimeoutS)?;
        let timeout = seconds.map_or(DEFAULT_WAIT, |seconds| {
            Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
        });
        let task = match known(fields) {
            Some(id) => store.wait(id, timeout.min(self.max_wait())).await?,
            None => None,
        };
        Ok((self.one(store, task), None))
    }

    /// The answer that is one task, or none.
    fn one(&self, store: &LocalStore, task: Option<Task>) -> String {
        let room = MAX_ANSWER_BYTES - ENVELOPE_BYTES;
        let text = task.map(|task| task_json::task(&task, store.now(), room, Omit::PayloadFirst));
        self.object(|object| {
            object.raw("ok", "true");
            object.raw("task", text.as_deref().unwrap_or("null"));
        })
    }

    /// The answer that says that something is done with a task.
    fn ended(&self, id: TaskId, more: impl FnOnce(&mut Object<'_>)) -> String {
        self.object(|object| {
            object.raw("ok", "true");
            object.string("task_id", &id.text());
            more(object);
        })
    }

    fn max_wait(&self) -> Duration {
        self.options.limits.duration(Limit::TaskWaitTime)
    }
}

/// The task that the request names; `None` where it names none that could be.
fn known(fields: &Fields<'_>) -> Option<TaskId> {
    fields.text(&[Field::TaskId]).as_deref().and_then(TaskId::parse)
}

fn needed(fields: &Fields<'_>) -> Result<TaskId, Refusal> {
    known(fields).ok_or_else(|| {
        let message = Cow::Borrowed("there is no task of this id; ids are 32 hexadecimal digits");
        Refusal::new(ErrorCode::TaskNotFound, message)
    })
}
