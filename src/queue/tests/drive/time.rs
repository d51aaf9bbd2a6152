//! What time does, and what a restart does.

use super::super::super::model::GRACE_MS;
use super::super::super::*;
use super::{Drive, settings};

impl Drive {
    /// Time goes on, and its tick does all that is due and nothing else.
    pub(super) fn pass(&mut self) {
        let ms = self.pick(&[1, 500, 3_000, 20_000, 200_000]);
        self.now.mono_ms += ms;
        self.now.wall_ms += ms as u64;
        // A claim may come before the tick, and finds the delays over all the same.
        if self.below(3) == 0 {
            return;
        }
        let now = self.now.mono_ms;
        self.model.promote(now);
        for change in self.queue.tick(self.now, 1_000).changes {
            let committed = self.queue.commit(change.sequence, self.now).unwrap();
            let id = match &committed.answer {
                Answer::Changed(task) => task.core.id,
                Answer::Removed(id) => *id,
                other => panic!("{other:?}"),
            };
            let after = self.model.due(self.model.row(id).unwrap(), now).expect("nothing was due");
            self.model.flight.insert(change.sequence, vec![(id, after)]);
            self.model.commit(change.sequence, now);
            self.journal.push(change);
        }
        let late = self.model.rows.iter().find(|row| self.model.due(row, now).is_some());
        assert!(late.is_none(), "was due: {late:?}");
        assert!(self.queue.next_due().is_none_or(|at| at > now));
    }

    /// An hour forth or back: nothing becomes due by it.
    pub(super) fn step_clock(&mut self) {
        let due = self.queue.next_due();
        match self.below(2) {
            0 => self.now.wall_ms += 3_600_000,
            _ => self.now.wall_ms -= 3_600_000,
        }
        assert_eq!(self.queue.next_due(), due);
    }

    pub(super) fn snap(&mut self) {
        let (_, chunks, cursor) = &mut self.snapshot;
        match (chunks.is_empty(), *cursor) {
            (false, Some(from)) => {
                let (chunk, next) = self.queue.snapshot(from, 2, self.now);
                chunks.push(chunk);
                *cursor = next;
            }
            _ => {
                let first = self.flight.iter().map(|change| change.sequence).min();
                let named = first.map_or(self.queue.sequencer.last(), |first| first - 1);
                let (chunk, next) = self.queue.snapshot(0, 2, self.now);
                self.snapshot = (named, vec![chunk], next);
            }
        }
    }

    /// What was not committed is gone; the rest is replayed, over the snapshot where there is a whole one.
    pub(super) fn crash(&mut self) {
        let (named, chunks, cursor) = std::mem::replace(&mut self.snapshot, (0, Vec::new(), Some(0)));
        let last = self.queue.sequencer.last();
        let mut queue = Queue::new(settings(self.ageing_ms), Sequencer::default(), self.random);
        queue.sequencer.advance(last);
        let from = if cursor.is_none() { named } else { 0 };
        for chunk in chunks.iter().filter(|_| cursor.is_none()) {
            queue.replay(named, KIND_TASKS, chunk, self.now).unwrap();
        }
        self.journal.sort_by_key(|change| change.sequence);
        for change in self.journal.iter().filter(|change| change.sequence > from) {
            queue.replay(change.sequence, change.kind, &change.bytes, self.now).unwrap();
        }
        // A second time it changes nothing.
        for change in &self.journal[self.journal.len().saturating_sub(5)..] {
            queue.replay(change.sequence, change.kind, &change.bytes, self.now).unwrap();
        }
        self.queue = queue;
        self.flight.clear();
        self.model.flight.clear();
        for row in &mut self.model.rows {
            row.stand(self.now.mono_ms);
            if row.status == Status::Running {
                row.lease_until = row.lease_until.max(self.now.mono_ms + GRACE_MS);
            }
        }
    }
}
