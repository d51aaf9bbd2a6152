//! One connection's closed loop, without its socket: which requests to send next, and what came back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::answer::{ErrorKind, Fault};
use crate::checker::{Checker, Verdict};
use crate::gate::{Gate, Phase};
use crate::request::{ID_END, Key, Template};
use crate::stats::Stats;

/// What all lanes of one generator thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) gate: Arc<Gate>,
    pub(crate) stats: RefCell<Stats>,
    checker: RefCell<Checker>,
    next_id: Cell<u64>,
    outstanding: Cell<u64>,
}

impl Shared {
    /// Shared state that hands out ids from `first_id` on.
    pub(crate) fn new(gate: Arc<Gate>, checker: Checker, first_id: u64) -> Self {
        Self {
            gate,
            stats: RefCell::new(Stats::new()),
            checker: RefCell::new(checker),
            next_id: Cell::new(first_id),
            outstanding: Cell::new(0),
        }
    }

    /// Requests that wait for their answer.
    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding.get()
    }

    /// The counts, with what the checker knows; leaves empty ones behind.
    pub(crate) fn take_stats(&self) -> Stats {
        let mut stats = self.stats.replace(Stats::new());
        stats.slow_checks = self.checker.borrow().slow_checks();
        stats.answer_bytes = self.checker.borrow().answer_bytes();
        stats
    }

    fn take_id(&self) -> u64 {
        let id = self.next_id.get();
        assert!(id < ID_END, "invariant: no run is long enough to use up the ids");
        self.next_id.set(id + 1);
        id
    }
}

/// The closed loop of one connection.
#[derive(Debug)]
pub(crate) struct Lane {
    shared: Rc<Shared>,
    template: Rc<Template>,
    pipeline: usize,
    pending: VecDeque<(Key, Instant)>,
    /// The start of an answer whose rest has not arrived.
    partial: Vec<u8>,
}

impl Lane {
    /// A lane with nothing in flight.
    pub(crate) fn new(shared: Rc<Shared>, template: Rc<Template>, pipeline: usize) -> Self {
        let pending = VecDeque::with_capacity(pipeline);
        Self { shared, template, pipeline, pending, partial: Vec::new() }
    }

    /// Appends requests until the pipeline is full, or none once the time is over.
    pub(crate) fn refill(&mut self, out: &mut Vec<u8>, now: Instant) {
        if self.is_over() {
            return;
        }
        while self.pending.len() < self.pipeline {
            let key = Key::new(self.shared.take_id());
            self.template.append(out, &key);
            self.pending.push_back((key, now));
            self.shared.outstanding.set(self.shared.outstanding.get() + 1);
        }
    }

    /// Sends from now on what `template` makes; a new connection may have a new session.
    pub(crate) fn set_template(&mut self, template: Rc<Template>) {
        self.template = template;
    }

    /// Whether every request has its answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes received bytes and checks the answers in them; an error ends the connection.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<(), Fault> {
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
        Ok(())
    }

    /// Gives up what is in flight because of `fault`: each request counts as one error, and there is at least one.
    pub(crate) fn fail(&mut self, fault: Fault) {
        let lost = self.pending.len() as u64;
        self.pending.clear();
        self.partial.clear();
        self.shared.outstanding.set(self.shared.outstanding.get() - lost);
        self.shared.stats.borrow_mut().fail(fault, lost.max(1));
    }

    /// Whether no more requests are to be sent.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.gate.phase() == Phase::Over
    }

    fn check_all(&mut self, bytes: &[u8], now: Instant) -> Result<usize, Fault> {
        let mut checker = self.shared.checker.borrow_mut();
        let mut stats = self.shared.stats.borrow_mut();
        let measured = self.shared.gate.phase() == Phase::Measuring;
        let mut used = 0;
        while used < bytes.len() {
            let Some((key, sent)) = self.pending.front() else {
                return Err(Fault::new(ErrorKind::Http, "bytes that nobody asked for"));
            };
            match checker.check(&bytes[used..], key) {
                Verdict::Incomplete => break,
                Verdict::Good(length) => {
                    used += length;
                    if measured {
                        stats.record(now - *sent);
                    }
                }
                Verdict::Wrong(length, fault) => {
                    used += length;
                    stats.fail(fault, 1);
                }
                Verdict::Broken(fault) => return Err(fault),
            }
            self.pending.pop_front();
            self.shared.outstanding.set(self.shared.outstanding.get() - 1);
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Rule;
    use crate::options::{Era, Expect};
    use crate::request::{FIRST_ID, find};
    use crate::values::Target;

    fn lane(pipeline: usize, phase: Phase) -> Lane {
        let target = Target::new("127.0.0.1:1", "/mcp").unwrap();
        let template = Template::call(&target, Era::V2026_07_28, "echo", 16, None);
        let gate = Arc::new(Gate::new());
        gate.set(phase);
        let shared = Shared::new(gate, Checker::new(Rule::Echo(Expect::Any), 16), FIRST_ID);
        Lane::new(Rc::new(shared), Rc::new(template), pipeline)
    }

    /// What an honest echo server answers to the bytes that a lane sends.
    fn serve(requests: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        let mut rest = requests;
        while let Some(head) = find(rest, b"\r\n\r\n") {
            let length_at = find(rest, b"Content-Length: ").unwrap() + 16;
            let length: usize = String::from_utf8_lossy(&rest[length_at..head]).parse().unwrap();
            let call: serde_json::Value = serde_json::from_slice(&rest[head + 4..][..length]).unwrap();
            let text = &call["params"]["arguments"]["message"];
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"text":{text}}}]}}}}"#,
                call["id"]
            );
            let fields = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
            answers.extend_from_slice(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}").as_bytes());
            rest = &rest[head + 4 + length..];
        }
        answers
    }

    #[test]
    fn answers_split_anywhere_count_once_each() {
        let now = Instant::now();
        let mut lane = lane(3, Phase::Measuring);
        for (step, chunk) in [1, 7, 100, 1000].into_iter().enumerate() {
            let mut out = Vec::new();
            lane.refill(&mut out, now);
            for piece in serve(&out).chunks(chunk) {
                lane.receive(piece, now).unwrap();
            }
            assert!(lane.is_idle());
            assert_eq!(lane.shared.stats.borrow().requests(), 3 * (step as u64 + 1));
        }
        assert_eq!(lane.shared.take_stats().errors().len(), 0);
    }

    #[test]
    fn only_the_measured_time_counts_and_nothing_is_sent_after_it() {
        let now = Instant::now();
        let mut lane = lane(1, Phase::WarmUp);
        let mut out = Vec::new();
        lane.refill(&mut out, now);
        lane.receive(&serve(&out), now).unwrap();
        assert_eq!(lane.shared.stats.borrow().requests(), 0);
        out.clear();
        lane.shared.gate.set(Phase::Over);
        lane.refill(&mut out, now);
        assert!(out.is_empty() && lane.is_idle());
    }

    #[test]
    fn a_lost_connection_costs_each_request_in_flight() {
        let start = Instant::now();
        let mut lane = lane(5, Phase::Measuring);
        let mut out = Vec::new();
        lane.refill(&mut out, start);
        assert_eq!(lane.shared.outstanding(), 5);
        lane.fail(Fault::new(ErrorKind::Closed, "gone"));
        assert_eq!(lane.shared.outstanding(), 0);
        assert_eq!(lane.shared.stats.borrow().errors()[&ErrorKind::Closed], 5);
        assert_eq!(lane.receive(b"HTTP", start).unwrap_err().kind, ErrorKind::Http);
    }
}
