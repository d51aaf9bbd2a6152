//! What one core asks of the workflow scheduler, and what it tells the scheduler of other nodes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::commits::Machine;
use super::local::LocalStore;
use super::{Store, StoreError, reply};
use crate::observe::WorkflowStats;
use crate::queue::Now;
use crate::runtime;
use crate::scheduler::{
    Ack, Answer, Asked, Beat, Fetch, Fetched, Heard, KnownPeer, Merged, MerkleClock, NextTask, PeerBeat,
    PeerClock, Scheduler, StatusAnswer, Submit, Submitted, Ticked,
};

/// Between two looks at the time.
const LOOK: Duration = Duration::from_secs(1);
/// Changes that one look makes at most; the next one goes on.
const CHANGES_A_LOOK: usize = 16;

/// What happened to workflow tasks and to what is known of peers, since the start.
#[derive(Debug, Default)]
pub(super) struct WorkflowCounts {
    taken_over: AtomicU64,
    overdue: AtomicU64,
    removed: AtomicU64,
    /// Tasks of peers' pages that no node of ours would send.
    refused: AtomicU64,
    peers_forgotten: AtomicU64,
    clock_entries_left_out: AtomicU64,
}

fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The workflow tasks of a node as one core asks for them. A clone is the same; none leaves its thread.
///
/// What changes tasks is journalled like everything else in the store, and told once it is durable.
#[derive(Debug, Clone)]
pub struct Workflows(LocalStore);

impl LocalStore {
    /// The workflow tasks.
    pub fn workflows(&self) -> Workflows {
        Workflows(self.clone())
    }

    /// Does what time brings about for workflow tasks, for all cores, until it is dropped. Run it on one core.
    pub async fn keep_workflows(&self) {
        loop {
            runtime::sleep(LOOK).await;
            for _ in 0..CHANGES_A_LOOK {
                let change = self.store().workflows.lock().tick(self.now());
                let Some(change) = change else { break };
                // A refusal has undone the change already, and it is due again.
                let _ = self.keep_unheard(Machine::Workflows, change);
                runtime::yield_now().await;
            }
        }
    }
}

impl Workflows {
    /// Takes a task, which its answer names the owner of.
    ///
    /// # Errors
    /// `task_exists`, `too_large`, `too_many_tags`, `invalid_value`, `workflow_full`, `disk_full`, and those of a journal
    /// that ends.
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, StoreError> {
        match self.ask(|scheduler, now| scheduler.submit(now, submit.clone())).await? {
            Answer::Submitted(submitted) => Ok(submitted),
            _ => Err(StoreError::Closed),
        }
    }

    /// Gives out the first task that this node holds.
    ///
    /// # Errors
    /// Those of a journal that ends.
    pub async fn next(&self) -> Result<Option<NextTask>, StoreError> {
        match self.ask(|scheduler, now| scheduler.next_task(now)).await? {
            Answer::Next(task) => Ok(task),
            _ => Err(StoreError::Closed),
        }
    }

    /// Notes that a task is done; whether it was before.
    ///
    /// # Errors
    /// `task_not_found`, `not_holder`, `taken_over`, and those of a journal that ends.
    pub async fn complete(&self, task_id: &str) -> Result<bool, StoreError> {
        match self.ask(|scheduler, now| scheduler.complete(now, task_id)).await? {
            Answer::Completed { already, .. } => Ok(already),
            _ => Err(StoreError::Closed),
        }
    }

    /// The node that took a task first.
    pub fn submitter(&self, task_id: &str) -> Option<Box<str>> {
        self.0.store().workflows.lock().task(task_id).map(|image| image.task.submitter.clone())
    }

    /// How many tasks there are, and what this node's clock shows.
    pub fn status(&self) -> StatusAnswer {
        self.0.store().workflows.lock().status()
    }

    /// The peers that were heard of, by id.
    pub fn known_peers(&self) -> Vec<KnownPeer> {
        self.0.store().workflows.lock().known_peers(self.0.now())
    }

    /// This node's clock.
    pub fn clock(&self) -> MerkleClock {
        self.0.store().workflows.lock().clock().clone()
    }

    /// Entries that a clock may have.
    pub fn max_clock_entries(&self) -> usize {
        self.0.store().workflows.lock().settings().max_clock_entries
    }

    /// What a heartbeat to a peer carries.
    pub fn beat(&self) -> Beat {
        self.0.store().workflows.lock().beat()
    }

    /// A heartbeat with a beat came from a peer, whose id is proved; true when it has something to fetch.
    pub fn hear_beat(&self, peer_id: &str, beat: &PeerBeat) -> bool {
        let heard = self.0.store().workflows.lock().hear_beat(peer_id, beat, self.0.now());
        let fetch = heard.fetch;
        self.note(heard);
        fetch
    }

    /// A peer was heard of otherwise; see [`Scheduler::hear`]. Gives the entries of its clock that found no room.
    pub fn hear(&self, peer_id: &str, announces: Option<bool>, clock: Option<&PeerClock>) -> usize {
        let heard = self.0.store().workflows.lock().hear(peer_id, announces, clock, self.0.now());
        let left_out = heard.left_out;
        self.note(heard);
        left_out
    }

    fn note(&self, heard: Heard) {
        let counts = &self.0.store().workflow_counts;
        add(&counts.clock_entries_left_out, heard.left_out);
        add(&counts.peers_forgotten, usize::from(heard.forgot));
        if let Some(change) = heard.change {
            // What it says counts already; a record that is missing after a crash is made up for by the next word.
            let _ = self.0.keep_unheard(Machine::Workflows, change);
        }
    }

    /// What to ask a peer with `workflow.fetch`.
    pub fn fetch(&self, peer_id: &str) -> Fetch {
        self.0.store().workflows.lock().fetch(peer_id)
    }

    /// Answers `workflow.fetch`.
    pub fn answer_fetch(&self, fetch: &Fetch) -> Fetched {
        self.0.store().workflows.lock().answer_fetch(fetch)
    }

    /// Takes over what a peer answered to `workflow.fetch`. When this returns it is durable, and its acknowledgement is
    /// what to send.
    ///
    /// # Errors
    /// A page that is none, `too_large`, and those of a journal that ends.
    pub async fn take_fetched(&self, peer_id: &str, fetched: Fetched) -> Result<Merged, StoreError> {
        let scheduler = &self.0.store().workflows;
        let (fetched, verifier) = {
            let scheduler = scheduler.lock();
            (scheduler.sift(fetched), scheduler.verifier())
        };
        // The hashing is done without the lock.
        let verified = verifier.check(fetched).map_err(StoreError::BadPage)?;
        add(&self.0.store().workflow_counts.refused, verified.refused);
        match self.ask(|scheduler, now| scheduler.take_fetched(peer_id, verified.clone(), now)).await? {
            Answer::Merged(merged) => Ok(merged),
            _ => Err(StoreError::Closed),
        }
    }

    /// Takes a `workflow.ack`.
    pub fn take_ack(&self, ack: &Ack) {
        self.0.store().workflows.lock().take_ack(ack);
    }

    /// Asks the scheduler until it says yes or no, and has the change kept that it comes to.
    async fn ask(&self, mut ask: impl FnMut(&mut Scheduler, Now) -> Asked) -> Result<Answer, StoreError> {
        let asked = |now| Ok(ask(&mut self.0.store().workflows.lock(), now)?);
        let said = |answer| match answer {
            reply::Answer::Workflows(answer) => Some(answer),
            reply::Answer::Queue(_) => None,
        };
        self.0.decide(Machine::Workflows, asked, said).await
    }
}

impl Store {
    /// Commits a change of the workflow scheduler, or undoes it; its answer.
    pub(super) fn apply_to_workflows(&self, sequence: u64, is_kept: bool) -> Option<Answer> {
        let mut scheduler = self.workflows.lock();
        if !is_kept {
            scheduler.abort(sequence);
            return None;
        }
        let committed = scheduler.commit(sequence)?;
        drop(scheduler);
        if let Answer::Ticked(Ticked { taken_over, overdue, removed }) = committed.answer {
            add(&self.workflow_counts.taken_over, taken_over);
            add(&self.workflow_counts.overdue, overdue);
            add(&self.workflow_counts.removed, removed);
            if taken_over > 0 {
                tracing::info!(tasks = taken_over, "took over workflow tasks of peers that are silent");
            }
        }
        Some(committed.answer)
    }

    pub(super) fn workflow_stats(&self) -> WorkflowStats {
        let scheduler = self.workflows.lock();
        let (tasks, bytes, known_peers) =
            (scheduler.counts(), scheduler.bytes(), scheduler.known_peer_count());
        drop(scheduler);
        let counts = &self.workflow_counts;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkflowStats {
            pending: tasks.pending as u64,
            assigned: tasks.assigned as u64,
            completed: tasks.completed as u64,
            ready: tasks.ready as u64,
            bytes: bytes as u64,
            known_peers: known_peers as u64,
            taken_over: count(&counts.taken_over),
            overdue: count(&counts.overdue),
            removed: count(&counts.removed),
            refused: count(&counts.refused),
            peers_forgotten: count(&counts.peers_forgotten),
            clock_entries_left_out: count(&counts.clock_entries_left_out),
        }
    }
}
