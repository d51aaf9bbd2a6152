//! One connection without its socket: which requests to send next, and what came back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::checker::{Checker, Verdict};
use crate::fault::{ErrorKind, Fault};
use crate::gate::{Gate, Phase};
use crate::key::{ID_END, Key};
use crate::mix::{Fill, Operation, Script};
use crate::source::Arrival;
use crate::stats::{Stats, nanoseconds};

/// What all lanes of one generator thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) gate: Arc<Gate>,
    pub(crate) script: Arc<Script>,
    pub(crate) stats: RefCell<Stats>,
    /// Whether operations begin on a schedule: what is measured is told by their begin, and lateness counts.
    open_loop: bool,
    handicap: Duration,
    checker: RefCell<Checker>,
    next_id: Cell<u64>,
    outstanding: Cell<u64>,
}

impl Shared {
    /// Shared state that hands out ids from `first_id` on; `duration` is the measured time.
    pub(crate) fn new(
        gate: Arc<Gate>,
        script: Arc<Script>,
        open_loop: bool,
        duration: Duration,
        first_id: u64,
    ) -> Self {
        Self {
            gate,
            open_loop,
            handicap: Duration::ZERO,
            stats: RefCell::new(Stats::of(script.operations.len(), duration)),
            checker: RefCell::new(Checker::new(Arc::clone(&script))),
            script,
            next_id: Cell::new(first_id),
            outstanding: Cell::new(0),
        }
    }

    /// Makes every begin of an operation cost so much of this thread's time: how a generator looks that is too slow.
    pub(crate) fn with_handicap(self, handicap: Duration) -> Self {
        Self { handicap, ..self }
    }

    /// Requests that wait for their answer.
    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding.get()
    }

    /// The counts, with what the checker knows.
    pub(crate) fn into_stats(self) -> Stats {
        let mut stats = self.stats.into_inner();
        let checker = self.checker.into_inner();
        (stats.slow_checks, stats.answer_bytes) = (checker.slow_checks(), checker.answer_bytes());
        stats
    }

    fn take_id(&self) -> u64 {
        let id = self.next_id.get();
        assert!(id < ID_END, "invariant: no run is long enough to use up the ids");
        self.next_id.set(id + 1);
        id
    }

    fn add_outstanding(&self, more: u64, less: u64) {
        self.outstanding.set(self.outstanding.get() + more - less);
    }

    fn burn_handicap(&self, begun: Instant) {
        while begun.elapsed() < self.handicap {
            std::hint::spin_loop();
        }
    }
}

/// An operation in progress: the request of one of its steps is in flight.
#[derive(Debug)]
struct Slot {
    arrival: Arrival,
    step: usize,
    key: Key,
    /// What its steps kept so far.
    captured: Vec<Value>,
}

/// The requests and answers of one connection.
#[derive(Debug)]
pub(crate) struct Lane {
    shared: Rc<Shared>,
    number: u32,
    pipeline: usize,
    /// The header field of the connection's session.
    session: Vec<u8>,
    /// In the order of their requests, which is that of the answers.
    pending: VecDeque<Slot>,
    /// Requests that are to be sent.
    out: Vec<u8>,
    body: Vec<u8>,
    /// The start of an answer whose rest has not arrived.
    partial: Vec<u8>,
    /// Since when there is room for another operation.
    free_since: Instant,
}

impl Lane {
    /// A lane with nothing in flight.
    pub(crate) fn new(shared: Rc<Shared>, number: u32, pipeline: usize, session: Vec<u8>) -> Self {
        Self {
            shared,
            number,
            pipeline,
            session,
            pending: VecDeque::with_capacity(pipeline),
            out: Vec::new(),
            body: Vec::new(),
            partial: Vec::new(),
            free_since: Instant::now(),
        }
    }

    /// A new connection may have a new session.
    pub(crate) fn set_session(&mut self, session: Vec<u8>) {
        self.session = session;
    }

    /// Whether another operation may begin.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.len() < self.pipeline
    }

    /// Whether every request has its answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// What the lane does when `arrival` begins.
    pub(crate) fn operation(&self, arrival: &Arrival) -> &Operation {
        &self.shared.script.operations[arrival.operation]
    }

    /// Begins an operation: its first request is among [`Lane::take_out`].
    pub(crate) fn begin(&mut self, arrival: Arrival, now: Instant) {
        if self.shared.open_loop && arrival.measured {
            // What had to wait for an answer of the server is the server's lateness, not the generator's.
            let could = arrival.released.max(self.free_since);
            let lag = arrival.seen_late() + now.saturating_duration_since(could);
            self.shared.stats.borrow_mut().record_lag(lag);
        }
        self.shared.burn_handicap(now);
        let captured = vec![Value::Null; self.operation(&arrival).captures];
        self.ask(Slot { arrival, step: 0, key: Key::new(self.shared.take_id()), captured });
    }

    /// Notes whether the lane waits for the server without a request of an operation: for a connection, or for the end of
    /// one. It counts as a request that waits for its answer.
    pub(crate) fn await_server(&self, begins: bool) {
        self.shared.add_outstanding(u64::from(begins), u64::from(!begins));
    }

    /// Notes that until now the server did not let anything begin.
    pub(crate) fn set_free(&mut self, now: Instant) {
        self.free_since = now;
    }

    /// Takes what is to be sent, and leaves `room` for what comes next.
    pub(crate) fn take_out(&mut self, room: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.out, room)
    }

    /// Whether there is anything to send.
    pub(crate) fn has_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes received bytes and checks the answers in them; an error ends the connection.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<(), Fault> {
        let had_room = self.has_room();
        if self.partial.is_empty() {
            let used = self.check_all(bytes, now)?;
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            let used = self.check_all(&joined, now)?;
            joined.drain(..used);
            self.partial = joined;
        }
        if !had_room && self.has_room() {
            self.free_since = now;
        }
        Ok(())
    }

    /// Gives up what is in flight because of `fault`: each operation counts as one error, and there is at least one.
    pub(crate) fn fail(&mut self, fault: Fault, now: Instant) {
        let lost = self.pending.len() as u64;
        self.pending.clear();
        self.partial.clear();
        self.out.clear();
        self.free_since = now;
        self.shared.add_outstanding(0, lost);
        self.count_fault(fault, lost.max(1), now);
    }

    fn count_fault(&self, fault: Fault, count: u64, now: Instant) {
        let mut stats = self.shared.stats.borrow_mut();
        if let Some(after) = self.shared.gate.measured_for(now) {
            stats.series.fail(after, count);
        }
        stats.fail(fault, count);
    }

    /// Writes the request of a slot's step.
    fn ask(&mut self, slot: Slot) {
        let script = Arc::clone(&self.shared.script);
        let step = &script.operations[slot.arrival.operation].steps[slot.step];
        self.body.clear();
        step.body.append(&mut self.body, &fill(&script, &slot, self.number));
        script.dialect.append(&mut self.out, &step.head, &self.session, &self.body);
        self.pending.push_back(slot);
        self.shared.add_outstanding(1, 0);
    }

    fn check_all(&mut self, bytes: &[u8], now: Instant) -> Result<usize, Fault> {
        let script = Arc::clone(&self.shared.script);
        let mut used = 0;
        while used < bytes.len() {
            let Some(slot) = self.pending.front() else {
                return Err(Fault::new(ErrorKind::Http, "bytes that nobody asked for"));
            };
            let step = &script.operations[slot.arrival.operation].steps[slot.step];
            let fill = fill(&script, slot, self.number);
            let verdict = self.shared.checker.borrow_mut().check(&bytes[used..], step, &fill);
            let (length, outcome) = match verdict {
                Verdict::Incomplete => break,
                Verdict::Good(length, kept) => (length, Ok(kept)),
                Verdict::Wrong(length, fault) => (length, Err(fault)),
                Verdict::Broken(fault) => return Err(fault),
            };
            used += length;
            let Some(slot) = self.pending.pop_front() else { break };
            self.shared.add_outstanding(0, 1);
            match outcome {
                Ok(kept) => self.answered(slot, kept, now),
                Err(fault) => self.count_fault(fault, 1, now),
            }
        }
        Ok(used)
    }

    /// A step was answered right: the next one follows, or the operation has ended.
    fn answered(&mut self, mut slot: Slot, kept: Vec<(usize, Value)>, now: Instant) {
        let after = self.shared.gate.measured_for(now);
        if after.is_some() {
            self.shared.stats.borrow_mut().answers += 1;
        }
        for (place, value) in kept {
            slot.captured[place] = value;
        }
        slot.step += 1;
        if slot.step < self.operation(&slot.arrival).steps.len() {
            slot.key = Key::new(self.shared.take_id());
            return self.ask(slot);
        }
        let mut stats = self.shared.stats.borrow_mut();
        let latency = now.saturating_duration_since(slot.arrival.intended);
        let measured = if self.shared.open_loop { slot.arrival.measured } else { after.is_some() };
        if measured {
            stats.record_operation(slot.arrival.operation, latency);
        }
        if let Some(after) = after {
            stats.completed += 1;
            stats.series.record(after, nanoseconds(latency));
            self.shared.gate.count_completed();
        }
    }

    /// Whether nothing more is to begin.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.gate.phase() == Phase::Over
    }
}

fn fill<'a>(script: &'a Script, slot: &'a Slot, lane: u32) -> Fill<'a> {
    Fill {
        key: &slot.key,
        message_bytes: script.message_bytes,
        filler: &script.filler,
        lane,
        captured: &slot.captured,
    }
}

#[cfg(test)]
mod tests;
