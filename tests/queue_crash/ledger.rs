//! Everything that was acknowledged, and everything that was asked for and may have happened.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use super::ask;
use super::common::Client;

/// What is known of one task.
#[derive(Debug, Default)]
struct Row {
    /// The tokens of the claims that were acknowledged; each was given once.
    tokens: BTreeSet<u64>,
    /// The ends that were asked for: token, status, result.
    asked: Vec<(u64, &'static str, u64)>,
    /// The end that was acknowledged: token and status.
    ended: Option<(u64, String)>,
    /// It may differ from what was last checked.
    touched: bool,
}

#[derive(Debug, Default)]
struct Rows {
    tasks: HashMap<String, Row>,
    acknowledged: [u64; 3],
}

/// The ledger, shared by the clients.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Rows>);

impl Ledger {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap()
    }

    pub(crate) fn submitted(&self, id: &str) {
        let mut rows = self.rows();
        rows.acknowledged[0] += 1;
        rows.tasks.entry(id.to_owned()).or_default().touched = true;
    }

    pub(crate) fn claimed(&self, id: &str, token: u64) {
        let mut rows = self.rows();
        rows.acknowledged[1] += 1;
        // A task whose submit was not acknowledged may be claimed all the same.
        let row = rows.tasks.entry(id.to_owned()).or_default();
        assert!(row.ended.as_ref().is_none_or(|(_, status)| status == "queued"), "{id} had ended: {row:?}");
        assert!(row.tokens.last().is_none_or(|last| *last < token), "{id}: token {token} after {row:?}");
        row.tokens.insert(token);
        (row.ended, row.touched) = (None, true);
    }

    pub(crate) fn ending(&self, id: &str, token: u64, status: &'static str, n: u64) {
        let mut rows = self.rows();
        let row = rows.tasks.get_mut(id).unwrap();
        row.asked.push((token, status, n));
        row.touched = true;
    }

    /// `status` is what the server says the task is now: a failure may have put it back.
    pub(crate) fn ended(&self, id: &str, token: u64, status: &str) {
        let mut rows = self.rows();
        rows.acknowledged[2] += 1;
        let row = rows.tasks.get_mut(id).unwrap();
        // Another client may have claimed again what was put back.
        if row.tokens.last() == Some(&token) {
            row.ended = Some((token, status.to_owned()));
        }
        row.touched = true;
    }

    /// Submits, claims and ends that were acknowledged.
    pub(crate) fn acknowledged(&self) -> [u64; 3] {
        self.rows().acknowledged
    }

    /// Compares the tasks that were touched, or all, with what the server has.
    pub(crate) fn check(&self, connection: &mut Client, all: bool, context: &str) {
        let mut rows = self.rows();
        for (id, row) in rows.tasks.iter_mut().filter(|(_, row)| all || row.touched) {
            let answer = ask(connection, "p2p_taskqueue_get_task", json!({"task_id": id}));
            let task = answer.unwrap_or_else(|| panic!("{context}: no answer"))["task"].take();
            if let Err(why) = row.agrees(&task) {
                panic!("{context}: {why}\n  ledger: {row:?}\n  server: {task}");
            }
            row.touched = false;
        }
    }
}

impl Row {
    /// The ends of this status that were asked for.
    fn asked(&self, wanted: &'static str) -> impl Iterator<Item = &(u64, &'static str, u64)> {
        self.asked.iter().filter(move |(_, status, _)| *status == wanted)
    }

    /// Whether the task can be what became of this row.
    fn agrees(&self, task: &Value) -> Result<(), &'static str> {
        let Some(status) = task["status"].as_str() else { return Err("an acknowledged task is gone") };
        if let Some((token, ended)) = &self.ended {
            let last = self.asked.iter().rev().find(|(asked, ..)| asked == token).unwrap();
            return match (ended.as_str(), status) {
                // It was put back, and an attempt that nobody heard of may have followed.
                ("queued", _) => Ok(()),
                (ended, status) if ended != status => Err("an acknowledged end is gone"),
                ("completed", _) if task["result"]["n"] != last.2 => Err("the result is another"),
                _ => Ok(()),
            };
        }
        match status {
            "queued" | "running" => Ok(()),
            "completed" => {
                let n = &task["result"]["n"];
                let known = self.asked("completed").any(|(_, _, asked)| n == asked);
                if known { Ok(()) } else { Err("completed, which nobody asked for") }
            }
            "cancelled" if self.asked("cancelled").next().is_some() => Ok(()),
            "failed" if self.asked("failed").next().is_some() => Ok(()),
            _ => Err("an end that nobody asked for"),
        }
    }
}
