//! The nodes, the wire between them, and what happens when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::super::mutant::Mutant;
use super::super::{Ack, Answer, Fetch, Fetched, PeerBeat, PeerClock, Step, Submit};
use super::node::Node;
use super::plan::{END_MS, HEAL_MS, Plan, SECOND};
use super::random::Random;
use crate::queue::Change;

const BEAT_MS: u64 = 75 * SECOND;
const TICK_MS: u64 = 40 * SECOND;
const WORK_MS: u64 = 30 * SECOND;

#[derive(Debug, Clone)]
enum Message {
    Beat(PeerBeat),
    Fetch(Fetch),
    Fetched(Fetched),
    Ack(Ack),
}

#[derive(Debug, Clone)]
enum Event {
    Beat,
    Tick,
    Work,
    Submit(u64),
    Deliver(usize, Message),
    Land(u64, u64),
    Done(u64, String),
    Crash,
    Kill,
    Recover,
    Split,
    Heal,
}

/// Nodes in one process.
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) plan: Plan,
    /// How often each task was given out.
    pub(super) runs: BTreeMap<String, u32>,
    pub(super) runs_by_node: Vec<u32>,
    /// Which tasks clients know to be taken, and where.
    pub(super) submitted: BTreeSet<(String, usize)>,
    random: Random,
    at_ms: u64,
    turn: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    bodies: BTreeMap<u64, Event>,
    sides: Vec<bool>,
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::new(seed, &mut random);
        let node = |index: usize, random: &mut Random| {
            let id = format!("12D3KooW{:06x}{index}", random.below(1 << 24));
            Node::new(id, random.below(plan.max_skew_ms + 1), mutant)
        };
        let nodes: Vec<_> = (0..plan.nodes).map(|index| node(index, &mut random)).collect();
        let mut world = World {
            runs_by_node: vec![0; nodes.len()],
            sides: vec![false; nodes.len()],
            nodes,
            plan,
            runs: BTreeMap::new(),
            submitted: BTreeSet::new(),
            random,
            at_ms: 0,
            turn: 0,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
        };
        world.schedule();
        world
    }

    fn schedule(&mut self) {
        for node in 0..self.plan.nodes {
            let [beat, tick, work] = [BEAT_MS, TICK_MS, WORK_MS].map(|ms| self.random.below(ms));
            self.after(beat, node, Event::Beat);
            self.after(tick, node, Event::Tick);
            self.after(work, node, Event::Work);
        }
        for task in 0..self.plan.tasks {
            let (at, node) = (100 * SECOND + self.random.below(800 * SECOND), self.some_node());
            self.after(at, node, Event::Submit(task));
            if self.plan.is_faulty() && self.random.one_in(8) {
                let other = self.some_node();
                self.after(at + self.random.clone().below(60 * SECOND), other, Event::Submit(task));
            }
        }
        let faults = self.plan.faults;
        for _ in 0..3 {
            let (at, node) = (100 * SECOND + self.random.below(1_000 * SECOND), self.some_node());
            let lasts = 10 * SECOND + self.random.below(480 * SECOND);
            if faults.crashes {
                self.after(at, node, Event::Crash);
                self.after(at + lasts, node, Event::Recover);
            }
            let at = 100 * SECOND + self.random.below(600 * SECOND);
            if faults.splits {
                self.after(at, 0, Event::Split);
                self.after(at + lasts + 300 * SECOND, 0, Event::Heal);
            }
        }
        if faults.kills {
            let (at, node) = (200 * SECOND + self.random.below(900 * SECOND), self.some_node());
            self.after(at, node, Event::Kill);
        }
        self.after(HEAL_MS, 0, Event::Heal);
        (0..self.plan.nodes).for_each(|node| self.after(HEAL_MS, node, Event::Recover));
    }

    fn some_node(&mut self) -> usize {
        self.random.below(self.plan.nodes as u64) as usize
    }

    fn after(&mut self, ms: u64, node: usize, event: Event) {
        self.turn += 1;
        self.events.push(Reverse((self.at_ms + ms, self.turn, node)));
        self.bodies.insert(self.turn, event);
    }

    /// Runs until everything is done after the heal, or the time is over.
    pub(super) fn run(&mut self, is_done: impl Fn(&World) -> bool) -> Result<(), String> {
        let mut look_ms = HEAL_MS;
        while let Some(Reverse((at_ms, turn, node))) = self.events.pop() {
            if at_ms > END_MS {
                break;
            }
            if at_ms > look_ms {
                look_ms = at_ms + 40 * SECOND;
                if is_done(self) {
                    break;
                }
            }
            self.at_ms = at_ms;
            if let Some(event) = self.bodies.remove(&turn) {
                self.happen(node, event)?;
            }
        }
        Ok(())
    }

    fn happen(&mut self, node: usize, event: Event) -> Result<(), String> {
        match event {
            Event::Split => (0..self.plan.nodes).for_each(|node| self.sides[node] = self.random.one_in(2)),
            Event::Heal => self.sides.fill(false),
            Event::Kill => {
                self.nodes[node].is_dead = true;
                self.nodes[node].is_up = false;
            }
            Event::Recover if !self.nodes[node].is_up && !self.nodes[node].is_dead => self.recover(node),
            Event::Beat | Event::Tick | Event::Work => self.turn_of(node, event)?,
            _ if !self.nodes[node].is_up => {}
            Event::Submit(task) => self.submit(node, task)?,
            Event::Deliver(from, message) => self.deliver(from, node, message)?,
            Event::Land(start, sequence) if start == self.nodes[node].start => self.land(node, sequence),
            Event::Done(start, task) if start == self.nodes[node].start => self.complete(node, task)?,
            Event::Crash => {
                let random = &mut self.random;
                self.nodes[node].crash(|| random.one_in(2));
            }
            Event::Land(..) | Event::Done(..) | Event::Recover => {}
        }
        Ok(())
    }

    fn recover(&mut self, node: usize) {
        let random = &mut self.random;
        self.nodes[node].recover(self.at_ms, || random.one_in(3));
    }

    /// What a node does again and again.
    fn turn_of(&mut self, node: usize, event: Event) -> Result<(), String> {
        let (every_ms, is_up) = (
            match event {
                Event::Beat => BEAT_MS,
                Event::Tick => TICK_MS,
                _ => WORK_MS,
            },
            self.nodes[node].is_up,
        );
        match event {
            _ if !is_up => {}
            Event::Beat => self.beat(node),
            Event::Tick => {
                let now = self.nodes[node].now(self.at_ms);
                if let Some(change) = self.nodes[node].scheduler.tick(now) {
                    self.fly(node, change);
                }
                if self.random.one_in(4) {
                    self.nodes[node].snapshot_step(self.at_ms);
                }
            }
            _ => {
                let now = self.nodes[node].now(self.at_ms);
                let step = self.nodes[node].scheduler.next_task(now).map_err(|error| error.to_string())?;
                self.go_on(node, step);
            }
        }
        self.after(every_ms, node, event);
        Ok(())
    }

    fn beat(&mut self, node: usize) {
        let beat = self.beat_of(node);
        for other in (0..self.plan.nodes).filter(|other| *other != node) {
            self.send(node, other, Message::Beat(beat.clone()));
        }
    }

    fn beat_of(&self, node: usize) -> PeerBeat {
        let scheduler = &self.nodes[node].scheduler;
        if self.plan.as_json {
            let json = serde_json::to_string(&scheduler.beat()).unwrap();
            return PeerBeat::read(&json, 64).unwrap();
        }
        PeerBeat { clock: PeerClock::of(scheduler.clock()), news: scheduler.news() }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let is_calm = self.at_ms >= HEAL_MS;
        if !is_calm && self.plan.faults.loses && self.random.one_in(5) {
            return;
        }
        let copies = 1 + u64::from(self.random.one_in(10));
        for _ in 0..copies {
            let delay = self.random.below(self.plan.max_delay_ms) + 1;
            self.after(delay, to, Event::Deliver(from, message.clone()));
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: Message) -> Result<(), String> {
        if self.sides[from] != self.sides[to] {
            return Ok(());
        }
        let now = self.nodes[to].now(self.at_ms);
        let peer = self.nodes[from].id.clone();
        let scheduler = &mut self.nodes[to].scheduler;
        match message {
            Message::Beat(beat) => {
                let heard = scheduler.hear_beat(&peer, &beat, now);
                let fetch = heard.fetch.then(|| scheduler.fetch(&peer));
                if let Some(change) = heard.change {
                    self.fly(to, change);
                }
                if let Some(fetch) = fetch {
                    self.send(to, from, Message::Fetch(fetch));
                }
            }
            Message::Fetch(fetch) => {
                let mut fetched = scheduler.answer_fetch(&fetch);
                if self.plan.as_json {
                    let json = serde_json::to_string(&fetched).unwrap();
                    fetched = Fetched::read(&json).unwrap();
                }
                self.send(to, from, Message::Fetched(fetched));
            }
            Message::Fetched(fetched) => {
                let verified = scheduler.verifier().check(scheduler.sift(fetched.clone()))?;
                if verified.refused > 0 {
                    return Err(format!("node {to} refuses tasks of node {from}"));
                }
                let step = scheduler.take_fetched(&peer, verified, now).map_err(|error| error.to_string())?;
                if let Step::Wait(_) = step {
                    self.after(20, to, Event::Deliver(from, Message::Fetched(fetched)));
                    return Ok(());
                }
                self.go_on(to, step);
            }
            Message::Ack(ack) => scheduler.take_ack(&ack),
        }
        Ok(())
    }

    fn submit(&mut self, node: usize, task: u64) -> Result<(), String> {
        let now = self.nodes[node].now(self.at_ms);
        let submit = Submit {
            task_id: format!("task-{task}").into(),
            workflow_id: "w".into(),
            name: format!("by {node}").into(),
            tags: vec!["P2P_ONLY".into()],
            priority: 1 + task as i64 % 10,
        };
        match self.nodes[node].scheduler.submit(now, submit) {
            Ok(step) => self.go_on(node, step),
            Err(error) if error.code() == "task_exists" => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    fn complete(&mut self, node: usize, task: String) -> Result<(), String> {
        let now = self.nodes[node].now(self.at_ms);
        let me = &mut self.nodes[node];
        let before = me.scheduler.task(&task).cloned();
        match me.scheduler.complete(now, &task) {
            Ok(Step::Wait(_)) => self.after(20, node, Event::Done(self.nodes[node].start, task)),
            Ok(step) => {
                let is_stale =
                    before.is_some_and(|image| *image.holder() != *me.id && image.state.completion.is_none());
                if is_stale {
                    return Err(format!("node {node} completed {task}, which another holds"));
                }
                self.go_on(node, step);
            }
            Err(error) if ["taken_over", "not_holder"].contains(&error.code()) => {}
            Err(error) => return Err(format!("node {node} cannot complete {task}: {error}")),
        }
        Ok(())
    }

    fn go_on(&mut self, node: usize, step: Step) {
        match step {
            Step::Done(answer) => self.answer(node, answer),
            Step::Change(change) => self.fly(node, change),
            Step::Wait(_) => {}
        }
    }

    fn fly(&mut self, node: usize, change: Change) {
        let (delay, start) = (1 + self.random.below(30), self.nodes[node].start);
        self.after(delay, node, Event::Land(start, change.sequence));
        self.nodes[node].flight.push(change);
    }

    fn land(&mut self, node: usize, sequence: u64) {
        let refuses = self.plan.is_faulty() && self.at_ms < HEAL_MS && self.random.one_in(16);
        let me = &mut self.nodes[node];
        if refuses && me.refuse(sequence) {
            return me.scheduler.abort(sequence);
        }
        if !me.land(sequence) {
            return;
        }
        if let Some(committed) = me.scheduler.commit(sequence) {
            self.answer(node, committed.answer);
            let told = committed.tell.and_then(|peer| self.nodes.iter().position(|node| *node.id == *peer));
            if let Some(told) = told {
                let beat = self.beat_of(node);
                self.send(node, told, Message::Beat(beat));
            }
        }
    }

    fn answer(&mut self, node: usize, answer: Answer) {
        match answer {
            Answer::Submitted(submitted) => drop(self.submitted.insert((submitted.task_id.into(), node))),
            Answer::Next(Some(next)) => {
                *self.runs.entry(next.task_id.clone().into()).or_default() += 1;
                self.runs_by_node[node] += 1;
                let lasts = SECOND + self.random.below(90 * SECOND);
                // Some workers take too long, and some never come back.
                let lasts = if self.plan.is_faulty() && self.random.one_in(8) { lasts * 4 } else { lasts };
                let start = self.nodes[node].start;
                self.after(lasts, node, Event::Done(start, next.task_id.into()));
            }
            Answer::Completed { task_id, .. } => drop(self.nodes[node].promised.insert(task_id.into())),
            Answer::Merged(merged) => self.merged(node, merged),
            _ => {}
        }
    }

    fn merged(&mut self, node: usize, merged: super::super::Merged) {
        let Some(ack) = merged.ack else { return };
        let giver = self.nodes.iter().position(|giver| *giver.scheduler.news().feed == *ack.feed);
        let Some(giver) = giver else { return };
        self.send(node, giver, Message::Ack(ack));
        if merged.more {
            let fetch = self.nodes[node].scheduler.fetch(&self.nodes[giver].id);
            self.send(node, giver, Message::Fetch(fetch));
        }
    }
}
