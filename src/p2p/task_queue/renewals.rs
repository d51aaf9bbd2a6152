//! What a heartbeat does for the tasks of its sender: leases are renewed, progress is noted, and it is told what it need not
//! do any more.

use std::sync::Arc;

use super::fields::{Field, Fields};
use super::readable;
use super::refusal::Refusal;
use crate::mcp::Scanner;
use crate::mcp::json::Object;
use crate::queue::{Progress, Proof, TaskId};
use crate::store::{LocalStore, Renewed};

/// Tasks that one heartbeat may tell of.
const MAX_REPORTS: usize = 128;
/// Lines of a log that one report may bring, and their bytes.
const MAX_LOG_LINES: usize = 1_000;
const MAX_LOG_BYTES: usize = 256 << 10;

/// What a heartbeat is told of its tasks.
#[derive(Debug, Default)]
pub(super) struct Told {
    renewed: Renewed,
    /// Reports that were not taken, with their errors.
    errors: Vec<(String, &'static str)>,
    /// Whether the sender asks for it; others hear of it only when there is something.
    asked: bool,
}

/// Renews the leases of a peer and of a worker, and takes the reports.
///
/// # Errors
/// `invalid_field` for reports of another form; those of the store.
pub(super) async fn renew(
    fields: &Fields<'_>,
    peer: &str,
    worker: Option<&str>,
    store: &LocalStore,
) -> Result<Told, Refusal> {
    let mut told = Told { asked: worker.is_some(), ..Told::default() };
    if let Some(raw) = fields.first(&[Field::Progress]) {
        told.asked = true;
        for raw in reports(raw)? {
            if let Err((task, code)) = report(raw, worker.unwrap_or(peer), store).await {
                told.errors.push((task, code));
            }
        }
    }
    told.renewed = store.heartbeat(peer).await?;
    if let Some(worker) = worker.filter(|worker| *worker != peer) {
        let more = store.heartbeat(worker).await?;
        add(&mut told.renewed.renewed, more.renewed);
        add(&mut told.renewed.cancelled, more.cancelled);
    }
    Ok(told)
}

fn add(tasks: &mut Vec<TaskId>, more: Vec<TaskId>) {
    for task in more {
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
}

/// The members of the array.
fn reports(raw: &str) -> Result<Vec<&str>, Refusal> {
    let wrong =
        || Refusal::invalid(format!("progress is a list of at most {MAX_REPORTS} objects with task_id"));
    if !raw.starts_with('[') {
        return Err(wrong());
    }
    let mut scanner = Scanner::new(raw, usize::MAX);
    // `peek` moves to the bracket, where `members` begins.
    let _ = scanner.peek();
    let members = scanner.members(MAX_REPORTS + 1).unwrap_or_default();
    match members.len() > MAX_REPORTS || members.iter().any(|member| !member.starts_with('{')) {
        true => Err(wrong()),
        false => Ok(members),
    }
}

/// Takes one report; the task and the code where it is refused.
async fn report(raw: &str, name: &str, store: &LocalStore) -> Result<(), (String, &'static str)> {
    let Ok(fields) = Fields::read(raw.as_bytes(), usize::MAX) else { return Ok(()) };
    let text = fields.text(&[Field::TaskId]).unwrap_or_default().into_owned();
    let Some(id) = TaskId::parse(&text) else { return Err((text, "task_not_found")) };
    let Ok(token) = fields.token(Field::FencingToken) else { return Err((text, "invalid_field")) };
    let logs = fields.list(&[Field::Logs], MAX_LOG_LINES, MAX_LOG_BYTES);
    let news = fields.first(&[Field::Progress]);
    if readable::check("progress", news).is_err() {
        return Err((text, "invalid_value"));
    }
    let progress = Progress {
        id,
        proof: Proof { token, name: Some(name.into()) },
        progress: news.map(Arc::from),
        logs: logs.into_iter().map(Arc::from).collect(),
    };
    store.progress(&progress).await.map(drop).map_err(|error| (text, error.code()))
}

impl Told {
    /// Adds it to the answer.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        let names = |tasks: &[TaskId]| tasks.iter().map(TaskId::to_string).collect::<Vec<_>>();
        if self.asked || !self.renewed.renewed.is_empty() {
            object.value("renewed", &names(&self.renewed.renewed));
        }
        if self.asked || !self.renewed.cancelled.is_empty() {
            object.value("cancelled", &names(&self.renewed.cancelled));
        }
        if !self.errors.is_empty() {
            let errors =
                self.errors.iter().map(|(task, code)| serde_json::json!({"task_id": task, "error": code}));
            object.value("progress_errors", &errors.collect::<Vec<_>>());
        }
    }
}
