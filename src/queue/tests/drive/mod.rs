//! Random requests to the queue and to the model; whatever differs fails, and names its seed.

mod claims;
mod holders;
mod lists;
mod time;

use std::collections::HashMap;

use super::super::model::{GRACE_MS, HOLD_MS, LIMITED, Model, RETENTION_MS, Row, WINDOW_MS};
use super::super::*;
use lists::Listing;

struct Drive {
    queue: Queue,
    model: Model,
    now: Now,
    random: u64,
    /// Records that are durable, in the order of their commits.
    journal: Vec<Change>,
    flight: Vec<Change>,
    /// The sequence that a snapshot names, its chunks, and where it goes on.
    snapshot: (u64, Vec<Vec<u8>>, Option<u32>),
    submitted: u128,
    last_token: u64,
    steps_clock: bool,
    ageing_ms: u64,
    listing: Listing,
}

/// Priority is strict, or a step of it is worth a short or a long wait.
const AGEING_MS: [u64; 3] = [0, 700, 15_000];
const KINDS: [&str; 3] = ["a", "b", "c"];
const WORKERS: [&str; 3] = ["w1", "w2", "w3"];

fn settings(ageing_ms: u64) -> Settings {
    Settings {
        type_limits: HashMap::from([(LIMITED.0.into(), LIMITED.1)]),
        retention_ms: RETENTION_MS as u64,
        idempotency_window_ms: WINDOW_MS as u64,
        recovery_grace_ms: GRACE_MS as u64,
        backoff_base_ms: 500,
        backoff_cap_ms: 4_000,
        ownership_hold_ms: HOLD_MS as u64,
        ageing_ms,
        ..Settings::default()
    }
}
impl Drive {
    fn new(seed: u64) -> Drive {
        let ageing_ms = AGEING_MS[seed as usize / 2 % AGEING_MS.len()];
        Drive {
            queue: Queue::new(settings(ageing_ms), Sequencer::default(), seed),
            model: Model { ageing_ms: ageing_ms as i64, ..Model::default() },
            now: Now { mono_ms: 5_000, wall_ms: 1_700_000_000_000 },
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            journal: Vec::new(),
            flight: Vec::new(),
            snapshot: (0, Vec::new(), Some(0)),
            submitted: 0,
            last_token: 0,
            steps_clock: seed.is_multiple_of(2),
            ageing_ms,
            listing: Listing::default(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn some_id(&mut self) -> TaskId {
        TaskId(u128::from(self.below(self.submitted as u64 + 1)) + 1)
    }
    fn op(&mut self) {
        match self.below(26) {
            0..=4 => self.submit(),
            5..=8 => self.claim(),
            9..=11 => self.complete(),
            12 => self.cancel(),
            13 => self.release(),
            14 => self.heartbeat(),
            15 => self.requeue(),
            16..=18 => self.pass(),
            19..=21 => self.land(),
            22 => self.snap(),
            23..=24 => self.list(),
            _ if self.steps_clock => self.step_clock(),
            _ => self.crash(),
        }
        self.check();
    }

    /// A change that was reserved: it may be committed now or later.
    fn fly(&mut self, change: Change, rows: Vec<(TaskId, Option<Row>)>) {
        self.model.flight.insert(change.sequence, rows);
        self.flight.push(change);
        if self.below(3) > 0 {
            self.land();
        }
    }

    fn land(&mut self) {
        if self.flight.is_empty() {
            return;
        }
        let at = self.below(self.flight.len() as u64) as usize;
        let change = self.flight.swap_remove(at);
        // A disk that is full refuses submits; one without even a reserve refuses everything.
        if self.below(if change.refusable { 8 } else { 24 }) == 0 {
            self.queue.abort(change.sequence, self.now);
            self.model.abort(change.sequence, self.now.mono_ms);
            return;
        }
        let committed = self.queue.commit(change.sequence, self.now).unwrap();
        self.accept_jitter(&change, &committed);
        self.model.commit(change.sequence, self.now.mono_ms);
        self.journal.push(change);
    }

    /// The delay of a retry is drawn by the queue; the model only knows its bound.
    fn accept_jitter(&mut self, change: &Change, committed: &Committed) {
        let Answer::Changed(task) = &committed.answer else { return };
        for (_, row) in self.model.flight.get_mut(&change.sequence).unwrap() {
            let Some(row) = row.as_mut().filter(|row| row.lease < 0) else { continue };
            let (from, bound) = (row.not_before, -row.lease);
            assert!((from..=from + bound).contains(&task.state.not_before_ms), "{task:?} {bound}");
            row.not_before = task.state.not_before_ms;
        }
    }

    fn check(&self) {
        assert_eq!(self.queue.len(), self.model.rows.len());
        for row in &self.model.rows {
            row.compare(&self.queue.task(row.id).expect("an acknowledged task is lost"));
        }
        if !self.random.is_multiple_of(8) {
            return;
        }
        for status in Status::ALL {
            let listed = self.queue.list(Some(status), &[], None, 1_000, usize::MAX).unwrap().tasks;
            let count = self.model.rows.iter().filter(|row| row.status == status).count();
            assert_eq!((listed.len(), self.queue.counts_by_type(status).values().sum()), (count, count));
        }
        let limited =
            self.model.rows.iter().filter(|row| row.kind == LIMITED.0 && row.status == Status::Running);
        assert!(limited.count() <= LIMITED.1);
    }
}

#[test]
fn the_queue_does_what_the_model_does() {
    let seeds = std::env::var("QUEUE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1_000u64);
    let first = std::env::var("QUEUE_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in first.map_or(0..seeds, |seed| seed..seed + 1) {
        let run = std::panic::AssertUnwindSafe(|| {
            let mut drive = Drive::new(seed);
            (0..100).for_each(|_| drive.op());
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            println!("seed {seed} fails; run it again with QUEUE_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
