//! What the worker asks the server's tools, and what their answers say: JSON in and out, nothing else.

use serde_json::{Map, Value, json};

use super::notes::Notes;
use super::outcome::Outcome;
use super::task::Task;

/// Hands out tasks.
pub(super) const CLAIM: &str = "p2p_taskqueue_claim_next";
/// Renews leases and takes progress.
pub(super) const HEARTBEAT: &str = "p2p_taskqueue_heartbeat";
/// Takes a task's end.
pub(super) const COMPLETE: &str = "p2p_taskqueue_complete_task";

/// Shows one task.
pub(super) const GET: &str = "p2p_taskqueue_get_task";

/// Codes of a server that has no room or time just now.
const BUSY: [&str; 8] = [
    "busy",
    "overloaded",
    "rate_limited",
    "queue_unavailable",
    "too_many_waiters",
    "disk_full",
    "deadline_exceeded",
    "internal_error",
];

/// What the server said of one task in a heartbeat's answer, and of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// Tasks whose leases were renewed; `None` where the server knows no leases.
    pub renewed: Option<Vec<String>>,
    /// Tasks that were cancelled.
    pub cancelled: Vec<String>,
    /// Tasks that this worker holds no longer.
    pub lost: Vec<String>,
}

/// Whether a refusal only means "not now".
pub(super) fn is_busy(code: &str) -> bool {
    BUSY.contains(&code)
}

/// Whether a refusal means that the task is not this worker's any more.
pub(super) fn is_lost(code: &str) -> bool {
    matches!(code, "lease_lost" | "task_not_found")
}

/// The arguments of a claim.
pub(super) fn claim(
    worker: &str,
    types: &[String],
    session: Option<&str>,
    (lease_s, wait_s): (f64, f64),
    max: usize,
) -> Value {
    let mut arguments = json!({ "worker_id": worker, "peer_id": worker, "supported_task_types": types,
        "lease_s": lease_s, "wait_s": wait_s });
    if let Some(session) = session {
        arguments["session_id"] = session.into();
    }
    if max > 1 {
        arguments["max_tasks"] = max.into();
    }
    arguments
}

/// The tasks of a claim's answer. One that cannot be read is left to its lease, and logged.
pub(super) fn claimed(answer: &Value) -> Vec<Task> {
    let several = answer["tasks"].as_array().filter(|tasks| !tasks.is_empty());
    let tasks: Vec<&Value> = match several {
        Some(tasks) => tasks.iter().collect(),
        None => answer.get("task").filter(|task| !task.is_null()).into_iter().collect(),
    };
    let read = |task: &&Value| match Task::read(task) {
        Ok(task) => Some(task),
        Err(why) => {
            tracing::warn!("a task is left alone: {why}");
            None
        }
    };
    tasks.iter().filter_map(read).collect()
}

/// The task of an answer, if it runs and is this worker's.
pub(super) fn own(answer: &Value, worker: &str) -> Option<Task> {
    let task = &answer["task"];
    let is_own = task["status"] == "running" && task["assigned_worker"] == worker;
    is_own.then(|| Task::read(task).ok()).flatten()
}

/// The arguments of a heartbeat that tells of these tasks.
pub(super) fn heartbeat(worker: &str, reports: &[(String, Option<u64>, Notes)]) -> Value {
    let report = |(id, token, notes): &(String, Option<u64>, Notes)| {
        let mut report = json!({ "task_id": id });
        if let Some(token) = token {
            report["fencing_token"] = (*token).into();
        }
        if let Some(progress) = notes.told_progress() {
            report["progress"] = progress.clone().into();
        }
        let logs = notes.told_logs();
        if !logs.is_empty() {
            report["logs"] = logs.into();
        }
        report
    };
    let mut arguments = json!({ "worker_id": worker, "peer_id": worker });
    let told: Vec<Value> = reports.iter().filter(|(_, _, notes)| !notes.is_empty()).map(report).collect();
    if !told.is_empty() {
        arguments["progress"] = told.into();
    }
    arguments
}

/// What a heartbeat's answer says.
pub(super) fn beat(answer: &Value) -> Beat {
    let names = |value: &Value| -> Option<Vec<String>> {
        let names = value.as_array()?.iter().filter_map(Value::as_str);
        Some(names.map(str::to_owned).collect())
    };
    let errors = answer["progress_errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let gone = errors.iter().filter(|error| error["error"].as_str().is_some_and(is_lost));
    Beat {
        renewed: names(&answer["renewed"]),
        cancelled: names(&answer["cancelled"]).unwrap_or_default(),
        lost: gone.filter_map(|error| error["task_id"].as_str()).map(str::to_owned).collect(),
    }
}

/// The arguments that end a task.
pub(super) fn complete(task: &str, token: Option<u64>, outcome: &Outcome) -> Value {
    let mut arguments = json!({ "task_id": task });
    if let Some(token) = token {
        arguments["fencing_token"] = token.into();
    }
    let result: &Map<String, Value> = match outcome {
        Outcome::Completed(result) => {
            arguments["status"] = "completed".into();
            result
        }
        Outcome::Failed { error, retryable, result } => {
            arguments["status"] = "failed".into();
            arguments["error"] = error.as_str().into();
            arguments["retryable"] = (*retryable).into();
            result
        }
    };
    if !result.is_empty() {
        arguments["result"] = result.clone().into();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_or_several_are_read_and_a_bad_one_is_left() {
        let task = |id: &str| json!({ "task_id": id, "task_type": "t" });
        let ids = |answer: Value| claimed(&answer).into_iter().map(|task| task.id).collect::<Vec<_>>();
        assert_eq!(ids(json!({ "task": task("a") })), ["a"]);
        assert_eq!(ids(json!({ "task": task("a"), "tasks": [task("a"), task("b")] })), ["a", "b"]);
        assert!(ids(json!({ "task": null, "tasks": [] })).is_empty());
        assert_eq!(ids(json!({ "tasks": [task("../a"), task("b")] })), ["b"]);
    }

    #[test]
    fn a_heartbeat_tells_only_of_tasks_with_news() {
        let mut notes = Notes::default();
        notes.log("x");
        let reports = [("a".to_owned(), Some(3), notes), ("b".to_owned(), None, Notes::default())];
        let expected = json!({ "worker_id": "w", "peer_id": "w",
            "progress": [{ "task_id": "a", "fencing_token": 3, "logs": ["x"] }] });
        assert_eq!(heartbeat("w", &reports), expected);
    }

    #[test]
    fn an_answer_names_what_is_cancelled_and_what_is_lost() {
        let answer = json!({ "renewed": ["a"], "cancelled": ["b"], "progress_errors": [
            { "task_id": "c", "error": "lease_lost" }, { "task_id": "a", "error": "too_large" }] });
        let read = beat(&answer);
        assert_eq!((read.cancelled, read.lost), (vec!["b".to_owned()], vec!["c".to_owned()]));
        assert_eq!(beat(&json!({ "ok": true })), Beat::default());
    }

    #[test]
    fn an_end_carries_its_proof() {
        let failed = complete("a", Some(4), &Outcome::failed("no", true));
        let expected = json!({ "task_id": "a", "fencing_token": 4, "status": "failed",
            "error": "no", "retryable": true });
        assert_eq!(failed, expected);
    }
}
