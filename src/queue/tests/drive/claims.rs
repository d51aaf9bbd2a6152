//! What puts tasks into the queue and takes them out: submits and claims, with ownership.

use std::sync::Arc;

use super::super::super::model::{PEERS, Row, WINDOW_MS, Wish, owner};
use super::super::super::*;
use super::{Drive, KINDS, WORKERS};

impl Drive {
    pub(super) fn submit(&mut self) {
        self.submitted += 1;
        let id = TaskId(self.submitted);
        let kind = self.pick(&KINDS);
        let session = self.pick(&[None, None, Some("s")]);
        let sticky = self.pick(&[None, None, Some("w1")]);
        let key = (self.below(4) == 0).then(|| format!("{kind}{}", self.submitted % 3));
        let delay = self.pick(&[0, 0, 2_000]);
        let (priority, max_attempts) = (self.below(3) as u8 + 4, self.below(3) as u32 + 1);
        let step = self.queue.submit(
            self.now,
            Submit {
                id,
                task_type: kind.into(),
                model_name: "m".into(),
                payload: "{}".into(),
                priority,
                max_attempts: Some(max_attempts),
                delay_ms: delay,
                session: session.map(Arc::from),
                sticky_worker: sticky.map(Arc::from),
                idempotency_key: key.as_deref().map(Arc::from),
            },
        );
        let now = self.now.mono_ms;
        let same = |row: &&Row| key.is_some() && row.key == key;
        if self
            .model
            .flight
            .values()
            .flatten()
            .filter_map(|(id, row)| Some((id, row.as_ref()?)))
            .any(|(id, row)| same(&row) && self.model.row(*id).is_none())
        {
            return assert!(matches!(step, Ok(Step::Wait(_))), "{step:?}");
        }
        let known = self.model.rows.iter().filter(same).filter(|row| row.created_mono + WINDOW_MS > now);
        if let Some(known) = known.max_by_key(|row| row.sequence) {
            return assert_eq!(step, Ok(Step::Done(Answer::Submitted { id: known.id, existing: true })));
        }
        let Ok(Step::Change(change)) = step else { panic!("{step:?}") };
        let (sequence, created_ms) = (change.sequence, self.now.wall_ms);
        let row = Row {
            id,
            kind,
            priority,
            created_ms,
            created_mono: now,
            sequence,
            session,
            sticky,
            key,
            max_attempts,
            not_before: now + delay as i64,
            status: Status::Queued,
            claims: 0,
            attempts: 0,
            holder: None,
            ready_since: None,
            token: 0,
            lease_until: 0,
            lease: 0,
            finished: 0,
            revoked: false,
            dead: false,
            result: None,
        };
        self.fly(change, vec![(id, Some(row))]);
    }

    pub(super) fn claim(&mut self) {
        let wish = Wish {
            kinds: self.pick(&[&[][..], &["a"], &["b", "c"], &["c", "c", "a"]]),
            session: self.pick(&[None, Some("s")]),
            worker: self.pick(&WORKERS),
            peer: self.pick(&PEERS),
            max: self.below(4) as usize + 1,
            same: self.below(2) == 0,
        };
        let lease = self.below(20) as i64 * 1_000 + 1_000;
        let claim = Claim {
            worker: wish.worker.into(),
            peer: wish.peer.into(),
            types: wish.kinds.iter().map(|kind| Arc::from(*kind)).collect(),
            session: wish.session.map(Arc::from),
            lease_ms: Some(lease as u64),
            max_tasks: wish.max,
            same_type: wish.same,
        };
        self.model.promote(self.now.mono_ms);
        let by_owner = self.below(2) == 0;
        let chosen = by_owner.then(|| self.choose(&claim, wish));
        let candidates = self.model.candidates(self.now.mono_ms, wish);
        let mine = candidates
            .into_iter()
            .filter(|(row, held)| !by_owner || held.is_none() || owner(row.id) == wish.peer);
        let expected = self.model.pick(mine.map(|(row, _)| row), wish);
        let step = self.queue.claim(self.now, &claim, chosen.as_deref()).unwrap();
        let Step::Change(change) = step else { return assert!(expected.is_empty(), "{step:?} {expected:?}") };
        assert!(change.sequence > self.last_token, "a token is greater than all before");
        self.last_token = change.sequence;
        let claimed = |row: Row| Row {
            status: Status::Running,
            claims: row.claims + 1,
            attempts: row.attempts + 1,
            holder: Some((wish.worker, wish.peer)),
            token: change.sequence,
            lease_until: self.now.mono_ms + lease,
            lease,
            ..row
        };
        let rows = expected.into_iter().map(|row| (row.id, Some(claimed(row)))).collect();
        self.fly(change, rows);
    }

    /// What the claim's peer may take: tasks that it owns, and those that are no longer kept for their owners.
    fn choose(&mut self, claim: &Claim, wish: Wish) -> Vec<TaskId> {
        let expected = self.model.candidates(self.now.mono_ms, wish);
        let expected: Vec<_> = expected.into_iter().map(|(row, held)| (row.id, held)).collect();
        let most = self.pick(&[usize::MAX, 2]);
        let first = self.queue.candidates(self.now, claim, most).unwrap();
        let first: Vec<_> = first.iter().map(|found| (found.id, found.held_until_ms)).collect();
        assert_eq!(first, expected[..most.min(expected.len())]);
        let free = expected.into_iter().filter(|(id, held)| held.is_none() || owner(*id) == wish.peer);
        free.map(|(id, _)| id).collect()
    }
}
