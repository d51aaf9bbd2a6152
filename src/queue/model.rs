//! A queue as simple as can be, to compare the real one with: a list, scanned for every question.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::HashMap;

use super::{Status, Task, TaskId};

pub(super) const GRACE_MS: i64 = 30_000;
pub(super) const RETENTION_MS: i64 = 600_000;
pub(super) const WINDOW_MS: i64 = 300_000;
pub(super) const LIMITED: (&str, usize) = ("b", 2);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub id: TaskId,
    pub kind: &'static str,
    pub priority: u8,
    pub created_ms: u64,
    pub created_mono: i64,
    pub sequence: u64,
    pub session: Option<&'static str>,
    pub sticky: Option<&'static str>,
    pub key: Option<String>,
    pub max_attempts: u32,
    pub not_before: i64,
    pub status: Status,
    pub claims: u32,
    pub attempts: u32,
    pub worker: Option<&'static str>,
    pub token: u64,
    pub lease_until: i64,
    pub lease: i64,
    pub finished: i64,
    pub revoked: bool,
    pub dead: bool,
    pub result: Option<i64>,
}

impl Row {
    pub(super) fn end(mut self, status: Status, now: i64) -> Row {
        if !self.status.is_finished() {
            self.finished = now;
        }
        self.status = status;
        self
    }

    pub(super) fn back(mut self, now: i64) -> Row {
        self.status = Status::Queued;
        self.worker = None;
        self.not_before = now;
        self
    }

    /// Panics where the real task is another.
    pub(super) fn compare(&self, task: &Task) {
        let (core, state) = (&task.core, &task.state);
        let holder = state.holder.as_ref().map(|holder| &*holder.worker);
        let real =
            (state.status, state.claims, state.attempts, holder, state.token, state.revoked, state.dead);
        let ours =
            (self.status, self.claims, self.attempts, self.worker, self.token, self.revoked, self.dead);
        assert_eq!(real, ours, "{task:?}");
        let real =
            (&*core.task_type, core.priority, core.created_ms, core.created_sequence, core.created_mono_ms);
        assert_eq!(real, (self.kind, self.priority, self.created_ms, self.sequence, self.created_mono));
        match self.status {
            Status::Running => assert_eq!(state.lease_until_ms, self.lease_until, "{task:?}"),
            Status::Queued => assert_eq!(state.not_before_ms, self.not_before, "{task:?}"),
            _ => assert_eq!(state.finished_mono_ms, self.finished, "{task:?}"),
        }
        let text = state.result.as_deref().unwrap_or("{\"progress");
        let number =
            text.strip_prefix("{\"n\":").map(|rest| rest[..rest.find([',', '}']).unwrap()].parse().unwrap());
        assert_eq!(number, self.result, "{task:?}");
    }
}

/// What is durable, and what is being committed.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub rows: Vec<Row>,
    /// By sequence: rows as they will be, `None` for one that goes.
    pub flight: HashMap<u64, Vec<(TaskId, Option<Row>)>>,
}

impl Model {
    pub(super) fn row(&self, id: TaskId) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    pub(super) fn busy(&self, id: TaskId) -> Option<u64> {
        let mut all = self.flight.iter();
        all.find(|(_, changes)| changes.iter().any(|(other, _)| *other == id)).map(|(sequence, _)| *sequence)
    }

    pub(super) fn commit(&mut self, sequence: u64) {
        for (id, row) in self.flight.remove(&sequence).unwrap() {
            self.rows.retain(|row| row.id != id);
            self.rows.extend(row);
        }
    }

    fn running(&self, kind: &str) -> usize {
        let durable =
            self.rows.iter().filter(|row| row.kind == kind && row.status == Status::Running).count();
        let flying = self.flight.values().flatten().filter(|(id, row)| {
            let before = self.row(*id).map(|row| row.status);
            let claimed = row.as_ref().is_some_and(|row| row.kind == kind && row.status == Status::Running);
            claimed && before != Some(Status::Running)
        });
        durable + flying.count()
    }

    /// What a claim must get, in order.
    pub(super) fn pick(
        &self,
        now: i64,
        kinds: &[&str],
        session: Option<&str>,
        worker: &str,
        max: usize,
        same: bool,
    ) -> Vec<Row> {
        let eligible = |row: &&Row| {
            row.status == Status::Queued
                && row.not_before <= now
                && self.busy(row.id).is_none()
                && (kinds.is_empty() || kinds.contains(&row.kind))
                && (row.session.is_none() || row.session == session)
                && (row.sticky.is_none() || row.sticky == Some(worker))
        };
        let mut rows: Vec<Row> = self.rows.iter().filter(eligible).cloned().collect();
        rows.sort_by_key(|row| (10 - row.priority, row.created_ms, row.sequence));
        let mut room = LIMITED.1.saturating_sub(self.running(LIMITED.0));
        let mut picked: Vec<Row> = Vec::new();
        for row in rows {
            if picked.len() == max || (same && picked.first().is_some_and(|first| first.kind != row.kind)) {
                continue;
            }
            if row.kind == LIMITED.0 {
                if room == 0 {
                    continue;
                }
                room -= 1;
            }
            picked.push(row);
        }
        picked
    }

    /// What must happen to a row by now: nothing, or this.
    pub(super) fn due(&self, row: &Row, now: i64) -> Option<Option<Row>> {
        if self.busy(row.id).is_some() {
            return None;
        }
        match row.status {
            Status::Running if row.lease_until <= now && row.attempts >= row.max_attempts => {
                Some(Some(Row { dead: true, ..row.clone().end(Status::Failed, now) }))
            }
            Status::Running if row.lease_until <= now => Some(Some(row.clone().back(now))),
            Status::Queued | Status::Running => None,
            _ => (row.finished + RETENTION_MS <= now).then_some(None),
        }
    }
}
