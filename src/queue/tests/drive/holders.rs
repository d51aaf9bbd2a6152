//! What is said of a task: its end, its way back, and that its holder lives.

use std::sync::Arc;

use super::super::super::model::{PEERS, Row};
use super::super::super::*;
use super::{Drive, WORKERS};

impl Drive {
    pub(super) fn complete(&mut self) {
        let id = self.some_id();
        let token = self.model.row(id).map_or(0, |row| row.token);
        let token = self.pick(&[None, Some(token), Some(token), Some(token.saturating_sub(1)), Some(0)]);
        let number = self.below(100) as i64;
        let outcome = self.pick(&[
            Outcome::Completed,
            Outcome::Failed { retryable: true },
            Outcome::Failed { retryable: false },
            Outcome::Cancelled,
        ]);
        let result = Some(Arc::from(format!("{{\"n\":{number}}}")));
        let step = self.queue.complete(self.now, &Complete { id, outcome, result, error: None, token });
        let Some(row) = self.model.row(id).cloned() else {
            return assert_eq!(step, Err(Refusal::TaskNotFound));
        };
        if let Some(sequence) = self.model.busy(id) {
            return assert_eq!(step, Ok(Step::Wait(sequence)));
        }
        let mine = token.is_some_and(|token| token != 0 && token == row.token)
            || (token.is_none() && row.claims < 2);
        if row.revoked || !mine {
            return assert_eq!(step, Err(Refusal::LeaseLost), "{row:?}");
        }
        if row.status.is_finished() && token.is_some() {
            return assert!(matches!(step, Ok(Step::Done(Answer::Changed(_)))));
        }
        let Ok(Step::Change(change)) = step else { panic!("{step:?}") };
        let (now, fresh) = (self.now.mono_ms, !row.status.is_finished());
        let row = Row { result: Some(number), ..row };
        let after = match outcome {
            Outcome::Completed => row.end(Status::Completed, now),
            Outcome::Cancelled => row.end(Status::Cancelled, now),
            Outcome::Failed { retryable: true } if fresh && row.attempts < row.max_attempts => {
                let bound = (500i64 << row.attempts.saturating_sub(1)).min(4_000);
                Row { token: 0, lease: -bound, ..row.back(now) }
            }
            Outcome::Failed { retryable } => {
                let dead = row.dead || (retryable && fresh);
                Row { dead, ..row.end(Status::Failed, now) }
            }
        };
        self.fly(change, vec![(id, Some(after))]);
    }

    pub(super) fn cancel(&mut self) {
        let id = self.some_id();
        let step = self.queue.cancel(self.now, id, Some("why")).unwrap();
        match (self.model.row(id).cloned(), self.model.busy(id), step) {
            (Some(_), Some(busy), Step::Wait(sequence)) => assert_eq!(busy, sequence),
            (Some(row), None, Step::Change(change)) if !row.status.is_finished() => {
                let revoked = row.status == Status::Running;
                let after = Row { revoked, ..row.end(Status::Cancelled, self.now.mono_ms) };
                self.fly(change, vec![(id, Some(after))]);
            }
            (row, None, Step::Done(Answer::Cancelled(false))) => {
                assert!(row.is_none_or(|row| row.status.is_finished()));
            }
            (None, Some(_), Step::Done(Answer::Cancelled(false))) => {}
            other => panic!("{other:?}"),
        }
    }

    /// A worker or a peer, which both may speak for a task.
    fn some_holder(&mut self) -> &'static str {
        let (worker, peer) = (self.pick(&WORKERS), self.pick(&PEERS));
        self.pick(&[worker, peer])
    }

    pub(super) fn release(&mut self) {
        let (id, name) = (self.some_id(), self.some_holder());
        let proof = Proof { token: None, name: Some(name.into()) };
        let step = self.queue.release(self.now, id, &proof, None);
        let Some(row) = self.model.row(id).cloned() else {
            return assert_eq!(step, Err(Refusal::TaskNotFound));
        };
        if let Some(sequence) = self.model.busy(id) {
            return assert_eq!(step, Ok(Step::Wait(sequence)));
        }
        if row.status != Status::Running || !row.is_held_by(name) {
            return assert_eq!(step, Err(Refusal::LeaseLost));
        }
        let Ok(Step::Change(change)) = step else { panic!("{step:?}") };
        let row = Row { token: 0, attempts: row.attempts - 1, ..row.back(self.now.mono_ms) };
        self.fly(change, vec![(id, Some(row))]);
    }

    pub(super) fn heartbeat(&mut self) {
        let (name, now) = (self.some_holder(), self.now.mono_ms);
        let step = self.queue.heartbeat(self.now, name);
        let held = |row: &&Row| {
            row.status == Status::Running && row.is_held_by(name) && self.model.busy(row.id).is_none()
        };
        let renew = |row: &Row| Row { lease_until: row.lease_until.max(now + row.lease), ..row.clone() };
        let rows: Vec<_> =
            self.model.rows.iter().filter(held).map(|row| (row.id, Some(renew(row)))).collect();
        match step {
            Step::Change(change) => self.fly(change, rows),
            step => assert!(rows.is_empty(), "{step:?}"),
        }
    }

    pub(super) fn requeue(&mut self) {
        let id = self.some_id();
        let step = self.queue.requeue(self.now, id);
        let (Some(row), None) = (self.model.row(id).cloned(), self.model.busy(id)) else { return };
        if !matches!(row.status, Status::Failed | Status::Cancelled) {
            return assert_eq!(step, Err(Refusal::NotFinished));
        }
        let Ok(Step::Change(change)) = step else { panic!("{step:?}") };
        let row = Row { attempts: 0, token: 0, dead: false, revoked: false, ..row.back(self.now.mono_ms) };
        self.fly(change, vec![(id, Some(row))]);
    }
}
