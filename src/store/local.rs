//! What one core asks of the store: each request goes from its machine to the log of this core and back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::commits::{Commits, Machine};
use super::{Store, StoreError, reply};
use crate::queue::{
    Answer, Asked, Complete, Now, Page, Progress, Proof, Queue, Refusal, Status, Step, Submit, Task, TaskId,
    Wake,
};

/// Ids drawn from the kernel at once.
const IDS_AT_ONCE: usize = 64;

/// The store as one core asks it. A clone is the same; none leaves its thread.
#[derive(Debug, Clone)]
pub struct LocalStore(Rc<Local>);

#[derive(Debug)]
struct Local {
    store: Arc<Store>,
    core: u32,
    commits: Commits,
    ids: RefCell<Vec<TaskId>>,
}

/// What became of a submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The task.
    pub id: TaskId,
    /// It was there already, under the same idempotency key.
    pub existing: bool,
}

/// What a heartbeat renewed, and what the holder need not do any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Tasks whose leases were renewed.
    pub renewed: Vec<TaskId>,
    /// Tasks that were cancelled while this holder had them.
    pub cancelled: Vec<TaskId>,
}

/// How many tasks wait and run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Tasks that wait, for a claim or for their time.
    pub queued: usize,
    /// Tasks that somebody holds.
    pub running: usize,
    /// Those that wait, by type.
    pub queued_by_type: BTreeMap<Arc<str>, usize>,
    /// Those that somebody holds, by type.
    pub running_by_type: BTreeMap<Arc<str>, usize>,
}

impl LocalStore {
    /// The store for the core of this number, which has no other. With a journal, changes are kept for as long as
    /// [`LocalStore::run`] runs.
    pub fn new(store: Arc<Store>, core: u32) -> LocalStore {
        let commits = Commits::new(&store);
        LocalStore(Rc::new(Local { store, core, commits, ids: RefCell::default() }))
    }

    /// What all cores share.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    pub(super) fn commits(&self) -> &Commits {
        &self.0.commits
    }

    pub(super) fn core(&self) -> u32 {
        self.0.core
    }

    /// The time by the clocks of the tasks.
    pub fn now(&self) -> Now {
        self.0.store.now()
    }

    /// An id for a new task: 128 bits that nobody can guess.
    pub fn new_task_id(&self) -> TaskId {
        let mut ids = self.0.ids.borrow_mut();
        if let Some(id) = ids.pop() {
            return id;
        }
        let mut bytes = [0; 16 * IDS_AT_ONCE];
        // Without randomness nothing can be told apart; the kernel gives it from early boot on.
        getrandom::fill(&mut bytes).expect("invariant: the kernel has random bytes");
        ids.extend(bytes.as_chunks::<16>().0.iter().map(|id| TaskId(u128::from_le_bytes(*id))));
        ids.pop().expect("invariant: ids were just drawn")
    }

    /// Puts a task into the queue, or finds the one that its idempotency key names.
    ///
    /// # Errors
    /// `too_large`, `queue_full`, `idempotency_conflict`, `disk_full`, and those of a journal that ends.
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, StoreError> {
        // Only a submit with a key may meet another one, and be asked again.
        let again = submit.idempotency_key.is_some();
        let mut submit = Some(submit);
        let ask = |queue: &mut Queue, now| match if again { submit.clone() } else { submit.take() } {
            Some(submit) => queue.submit(now, submit),
            None => Err(Refusal::Conflict),
        };
        match self.ask(ask).await? {
            Answer::Submitted { id, existing } => Ok(Submitted { id, existing }),
            _ => Err(StoreError::Closed),
        }
    }

    /// Ends a task; see [`Queue::complete`].
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`, `fencing_required`, `invalid_value`, `too_large`, and those of a journal that ends.
    pub async fn complete(&self, complete: &Complete) -> Result<Task, StoreError> {
        self.change(|queue, now| queue.complete(now, complete)).await
    }

    /// Gives a task back; see [`Queue::release`].
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`, `fencing_required`, and those of a journal that ends.
    pub async fn release(&self, id: TaskId, proof: &Proof, reason: Option<&str>) -> Result<Task, StoreError> {
        self.change(|queue, now| queue.release(now, id, proof, reason)).await
    }

    /// Puts a failed or cancelled task back; see [`Queue::requeue`].
    ///
    /// # Errors
    /// `task_not_found`, `task_not_finished`, and those of a journal that ends.
    pub async fn requeue(&self, id: TaskId) -> Result<Task, StoreError> {
        self.change(|queue, now| queue.requeue(now, id)).await
    }

    /// Notes how far a task is, and renews its lease; see [`Queue::progress`].
    ///
    /// # Errors
    /// `task_not_found`, `lease_lost`, `fencing_required`, `invalid_value`, `too_large`, and those of a journal that ends.
    pub async fn progress(&self, progress: &Progress) -> Result<Task, StoreError> {
        self.change(|queue, now| queue.progress(now, progress)).await
    }

    /// Cancels a task that has not finished; whether there was one.
    ///
    /// # Errors
    /// Those of a journal that ends.
    pub async fn cancel(&self, id: TaskId, reason: Option<&str>) -> Result<bool, StoreError> {
        match self.ask(|queue, now| queue.cancel(now, id, reason)).await? {
            Answer::Cancelled(cancelled) => Ok(cancelled),
            _ => Err(StoreError::Closed),
        }
    }

    /// Renews the leases of a worker or peer; see [`Queue::heartbeat`].
    ///
    /// # Errors
    /// Those of a journal that ends.
    pub async fn heartbeat(&self, name: &str) -> Result<Renewed, StoreError> {
        match self.ask(|queue, now| Ok(queue.heartbeat(now, name))).await? {
            Answer::Renewed { renewed, cancelled } => Ok(Renewed { renewed, cancelled }),
            _ => Err(StoreError::Closed),
        }
    }

    /// The task as it stands.
    pub fn task(&self, id: TaskId) -> Option<Task> {
        self.0.store.queue.lock().task(id)
    }

    /// Tasks in the order of their creation; see [`Queue::list`].
    ///
    /// # Errors
    /// `invalid_value` for a cursor that no list gave, `too_large` for too many types.
    pub fn list(
        &self,
        status: Option<Status>,
        types: &[Arc<str>],
        cursor: Option<&str>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        Ok(self.0.store.queue.lock().list(status, types, cursor, limit, max_bytes)?)
    }

    /// How many tasks wait and run.
    pub fn counts(&self) -> QueueCounts {
        let queue = self.0.store.queue.lock();
        let (queued_by_type, running_by_type) =
            (queue.counts_by_type(Status::Queued), queue.counts_by_type(Status::Running));
        drop(queue);
        let (queued, running) = (queued_by_type.values().sum(), running_by_type.values().sum());
        QueueCounts { queued, running, queued_by_type, running_by_type }
    }

    async fn change(&self, ask: impl FnMut(&mut Queue, Now) -> Asked) -> Result<Task, StoreError> {
        match self.ask(ask).await? {
            Answer::Changed(task) => Ok(task),
            _ => Err(StoreError::Closed),
        }
    }

    /// Asks the queue until it says yes or no, and has the change kept that it comes to.
    pub(super) async fn ask(
        &self,
        mut ask: impl FnMut(&mut Queue, Now) -> Asked,
    ) -> Result<Answer, StoreError> {
        let asked = |now| Ok(ask(&mut self.0.store.queue.lock(), now)?);
        self.decide(Machine::Queue, asked, |answer| match answer {
            reply::Answer::Queue(answer) => Some(answer),
            reply::Answer::Workflows(_) => None,
        })
        .await
    }

    /// Asks a machine until it says yes or no, and has the change kept that it comes to. `said` is the machine's own kind of
    /// answer.
    pub(super) async fn decide<A>(
        &self,
        machine: Machine,
        mut ask: impl FnMut(Now) -> Result<Step<A>, StoreError>,
        said: impl FnOnce(reply::Answer) -> Option<A>,
    ) -> Result<A, StoreError> {
        let mut met = None;
        loop {
            match ask(self.now())? {
                Step::Done(answer) => return Ok(answer),
                Step::Change(change) => {
                    return self.keep(machine, change).await?.and_then(said).ok_or(StoreError::Closed);
                }
                Step::Wait(sequence) => self.meet(&mut met, sequence).await?,
            }
        }
    }

    /// Waits for a change that another request is having committed; the first time it only takes its place.
    pub(super) async fn meet(
        &self,
        met: &mut Option<(u64, crate::queue::Waiter)>,
        sequence: u64,
    ) -> Result<(), StoreError> {
        match met.take() {
            Some((known, waiter)) if known == sequence => waiter.woken().await,
            _ => {
                let waiter = self.0.store.meeting.wait(Wake::Sequence(sequence));
                *met = Some((sequence, waiter?));
            }
        }
        match self.0.store.is_poisoned() {
            true => Err(StoreError::Poisoned),
            false => Ok(()),
        }
    }
}
