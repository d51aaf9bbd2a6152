//! A queue as simple as can be, to compare the real one with: a list, scanned for every question.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Status, Task, TaskId};

pub(super) const GRACE_MS: i64 = 30_000;
pub(super) const RETENTION_MS: i64 = 600_000;
pub(super) const WINDOW_MS: i64 = 300_000;
pub(super) const HOLD_MS: i64 = 4_000;
pub(super) const LIMITED: (&str, usize) = ("b", 2);
pub(super) const PEERS: [&str; 3] = ["p1", "p2", "p3"];

/// The peer that a task is kept for at first.
pub(super) fn owner(id: TaskId) -> &'static str {
    PEERS[(id.0 % 3) as usize]
}

/// What a claim asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub kinds: &'static [&'static str],
    pub session: Option<&'static str>,
    pub worker: &'static str,
    pub peer: &'static str,
    pub max: usize,
    pub same: bool,
}

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
    /// A worker and its peer.
    pub holder: Option<(&'static str, &'static str)>,
    /// Since when it may be claimed; its owner has that long the first choice.
    pub ready_since: Option<i64>,
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
        self.holder = None;
        self.not_before = now;
        self
    }

    /// It stands anew, as of now: after a change, one that was undone, or a restart.
    pub(super) fn stand(&mut self, now: i64) {
        self.ready_since = (self.status == Status::Queued && self.not_before <= now).then_some(now);
    }

    pub(super) fn is_held_by(&self, name: &str) -> bool {
        self.holder.is_some_and(|(worker, peer)| worker == name || peer == name)
    }

    /// Panics where the real task is another.
    pub(super) fn compare(&self, task: &Task) {
        let (core, state) = (&task.core, &task.state);
        let holder = state.holder.as_ref().map(|holder| (&*holder.worker, &*holder.peer));
        let real =
            (state.status, state.claims, state.attempts, holder, state.token, state.revoked, state.dead);
        let ours =
            (self.status, self.claims, self.attempts, self.holder, self.token, self.revoked, self.dead);
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
    /// How long a wait is worth a step of priority; 0 for none.
    pub ageing_ms: i64,
}

impl Model {
    pub(super) fn row(&self, id: TaskId) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    pub(super) fn busy(&self, id: TaskId) -> Option<u64> {
        let mut all = self.flight.iter();
        all.find(|(_, changes)| changes.iter().any(|(other, _)| *other == id)).map(|(sequence, _)| *sequence)
    }

    pub(super) fn commit(&mut self, sequence: u64, now: i64) {
        for (id, mut row) in self.flight.remove(&sequence).unwrap() {
            row.iter_mut().for_each(|row| row.stand(now));
            self.rows.retain(|row| row.id != id);
            self.rows.extend(row);
        }
    }

    /// What was being changed stays as it was, and is there again as if it had just come.
    pub(super) fn abort(&mut self, sequence: u64, now: i64) {
        for (id, _) in self.flight.remove(&sequence).unwrap() {
            self.rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.stand(now));
        }
    }

    /// Delays that are over: a claim and a tick see it.
    pub(super) fn promote(&mut self, now: i64) {
        let idle = |row: &Row| row.ready_since.is_none() && self.busy(row.id).is_none();
        let ids: Vec<TaskId> = self.rows.iter().filter(|row| idle(row)).map(|row| row.id).collect();
        self.rows.iter_mut().filter(|row| ids.contains(&row.id)).for_each(|row| row.stand(now));
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

    fn room(&self) -> usize {
        LIMITED.1.saturating_sub(self.running(LIMITED.0))
    }

    /// What a claim may take, best first, with the time until which it is kept for its owner.
    pub(super) fn candidates(&self, now: i64, wish: Wish) -> Vec<(Row, Option<i64>)> {
        let eligible = |row: &&Row| {
            row.status == Status::Queued
                && row.not_before <= now
                && self.busy(row.id).is_none()
                && (wish.kinds.is_empty() || wish.kinds.contains(&row.kind))
                && (row.session.is_none() || row.session == wish.session)
                && (row.sticky.is_none() || row.sticky == Some(wish.worker))
                && (row.kind != LIMITED.0 || self.room() > 0)
        };
        let mut rows: Vec<Row> = self.rows.iter().filter(eligible).cloned().collect();
        rows.sort_by(|a, b| self.first_of(a, b));
        let held = |row: &Row| row.ready_since.map(|since| since + HOLD_MS).filter(|until| *until > now);
        rows.into_iter().map(|row| (row.clone(), held(&row))).collect()
    }

    /// Which of two tasks is claimed first: the one that has waited longer, by more than the other's priority is worth.
    fn first_of(&self, a: &Row, b: &Row) -> Ordering {
        let steps = i64::from(b.priority) - i64::from(a.priority);
        let waited_longer = b.created_ms as i64 - a.created_ms as i64;
        let ageing = match self.ageing_ms {
            0 => steps.cmp(&0).then(0.cmp(&waited_longer)),
            worth => (steps * worth).cmp(&waited_longer),
        };
        ageing.then(a.sequence.cmp(&b.sequence))
    }

    /// What a claim gets of the tasks that it may take.
    pub(super) fn pick(&self, rows: impl Iterator<Item = Row>, wish: Wish) -> Vec<Row> {
        let mut room = self.room();
        let mut picked: Vec<Row> = Vec::new();
        for row in rows {
            let other = wish.same && picked.first().is_some_and(|first| first.kind != row.kind);
            if picked.len() == wish.max || other {
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

    /// The rows of a list, oldest first, that were created after this place.
    pub(super) fn listed(&self, status: Option<Status>, kinds: &[&str], after: (u64, u64)) -> Vec<&Row> {
        let asked = |row: &&Row| {
            status.is_none_or(|status| row.status == status)
                && (kinds.is_empty() || kinds.contains(&row.kind))
                && (row.created_ms, row.sequence) > after
        };
        let mut rows: Vec<&Row> = self.rows.iter().filter(asked).collect();
        rows.sort_by_key(|row| (row.created_ms, row.sequence));
        rows
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
