//! From a reserved change to its answer: one task a core writes the log and commits what has become durable.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_lite::FutureExt as _;

use super::local::LocalStore;
use super::reply::{Answer, Awaited, Kept, Reply, reply};
use super::{Store, StoreError};
use crate::journal::{AppendError, Driver, Durable, JournalError, Log, Poisoned, Record, is_full};
use crate::queue::{self, Change};
use crate::runtime::{self, log_file::JournalFolder};

/// Which machine a change belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    Queue,
    /// A shard of the cache.
    Cache(usize),
    Workflows,
}

/// A change on its way to the medium.
#[derive(Debug)]
struct Flying {
    machine: Machine,
    sequence: u64,
    durable: Durable,
    reply: Reply,
}

/// A change that waits for the log to be started.
#[derive(Debug)]
struct Unsent {
    machine: Machine,
    change: Change,
    reply: Reply,
}

/// The log of a core. It is started by its first change, so that a core that changes nothing reserves no disk.
#[derive(Debug)]
enum Door {
    /// There is no journal.
    Memory,
    /// No change has come yet, or there was no room for a log.
    Asleep,
    Open(Log),
    Ended(StoreError),
}

/// The changes of one core.
#[derive(Debug)]
pub(super) struct Commits {
    door: RefCell<Door>,
    unsent: RefCell<VecDeque<Unsent>>,
    flying: RefCell<VecDeque<Flying>>,
    stopping: Cell<bool>,
    /// Wakes the task that writes, while it sleeps.
    waker: RefCell<Option<Waker>>,
}

/// What became of a record, with what it belongs to.
type Settled = (Flying, Result<(), AppendError>);

impl Commits {
    pub(super) fn new(store: &Store) -> Commits {
        let door = if store.is_kept() { Door::Asleep } else { Door::Memory };
        Commits {
            door: RefCell::new(door),
            unsent: RefCell::default(),
            flying: RefCell::default(),
            stopping: Cell::new(false),
            waker: RefCell::default(),
        }
    }

    fn wake(&self) {
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sends a change to the log.
    fn send(&self, store: &Store, machine: Machine, change: Change) -> Result<Sent, StoreError> {
        let door = self.door.borrow();
        let log = match &*door {
            Door::Memory => return Ok(Sent::Kept(store.commit(machine, change.sequence))),
            Door::Ended(error) => {
                let error = error.clone();
                drop(door);
                store.give_up(machine, change.sequence);
                return Err(error);
            }
            Door::Asleep => {
                let (reply, awaited) = reply();
                self.unsent.borrow_mut().push_back(Unsent { machine, change, reply });
                drop(door);
                self.wake();
                return Ok(Sent::Awaited(awaited));
            }
            Door::Open(log) => log,
        };
        let (reply, awaited) = reply();
        match self.append(log, machine, change, reply) {
            Ok(()) => Ok(Sent::Awaited(awaited)),
            Err((sequence, error, _)) => {
                drop(door);
                store.give_up(machine, sequence);
                Err(error.into())
            }
        }
    }

    fn append(
        &self,
        log: &Log,
        machine: Machine,
        change: Change,
        reply: Reply,
    ) -> Result<(), (u64, AppendError, Reply)> {
        let Change { sequence, kind, bytes, refusable } = change;
        match log.append(Record { sequence, kind, bytes }, refusable) {
            Ok(durable) => {
                self.flying.borrow_mut().push_back(Flying { machine, sequence, durable, reply });
                Ok(())
            }
            Err(error) => Err((sequence, error, reply)),
        }
    }

    /// What has been decided, in the order in which it was sent.
    fn decided(&self, cx: &mut Context<'_>) -> Vec<Settled> {
        let mut flying = self.flying.borrow_mut();
        let mut decided = Vec::new();
        while let Some(first) = flying.front_mut() {
            let Poll::Ready(fate) = Pin::new(&mut first.durable).poll(cx) else { break };
            decided.extend(flying.pop_front().map(|first| (first, fate)));
        }
        decided
    }

    /// Waits for the first change, or for the end; true when there is a change.
    async fn first(&self) -> bool {
        poll_fn(|cx| {
            if !self.unsent.borrow().is_empty() {
                return Poll::Ready(true);
            }
            if self.stopping.get() {
                return Poll::Ready(false);
            }
            let former = self.waker.replace(Some(cx.waker().clone()));
            drop(former);
            Poll::Pending
        })
        .await
    }
}

/// Somebody who waits for an answer. One that goes after the answer was given, and before it looked, gives back the tasks
/// that it was given.
struct Heard<'a> {
    store: &'a LocalStore,
    awaited: Awaited,
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        if let Some(Ok(Some(Answer::Queue(queue::Answer::Claimed(tasks))))) = self.awaited.take() {
            self.store.give_back(&tasks);
        }
    }
}

/// How far a change came.
enum Sent {
    Kept(Option<Answer>),
    Awaited(Awaited),
}

impl LocalStore {
    /// Has a change kept, and gives its answer.
    pub(super) async fn keep(&self, machine: Machine, change: Change) -> Kept {
        let sent = self.commits().send(self.store(), machine, change)?;
        match sent {
            Sent::Kept(answer) => Ok(answer),
            Sent::Awaited(awaited) => {
                let mut heard = Heard { store: self, awaited };
                heard.awaited.kept().await
            }
        }
    }

    /// Has a change kept that nobody waits for.
    ///
    /// # Errors
    /// The change was refused at once, and undone.
    pub(super) fn keep_unheard(&self, machine: Machine, change: Change) -> Result<(), StoreError> {
        self.commits().send(self.store(), machine, change).map(drop)
    }

    /// Writes and commits the changes of this core until [`LocalStore::stop`], and then what is left. Run it as one task of
    /// the core, in a queue that other threads may wake. Without a journal it ends at once.
    ///
    /// # Errors
    /// The journal has failed, here or on another core. Nothing is acknowledged any more.
    pub async fn run(&self) -> Result<(), Poisoned> {
        let Some(kept) = &self.store().kept else { return Ok(()) };
        let poison = kept.journal.poison();
        loop {
            let first = async { self.commits().first().await.then_some(()) };
            let failed = async {
                poison.wait().await;
                None
            };
            if first.or(failed).await.is_none() {
                break;
            }
            let sleep: fn(std::time::Duration) -> _ = runtime::sleep;
            match kept.journal.start_log(self.core(), kept.folder.clone(), sleep).await {
                Ok((log, driver)) => return self.write(log, driver).await,
                Err(error) => {
                    // A reservation that finds no room leaves nothing behind; whatever else fails is not tried again.
                    let no_room =
                        matches!(&error, JournalError::Io { doing: "reserve", error, .. } if is_full(error));
                    if !no_room {
                        kept.journal.poison().set(error.to_string());
                        self.end(StoreError::Poisoned);
                        return kept.journal.poison().check();
                    }
                    self.refuse_unsent(&StoreError::DiskFull);
                }
            }
        }
        let ended = poison.check();
        self.end(if ended.is_err() { StoreError::Poisoned } else { StoreError::Closed });
        ended
    }

    async fn write<S, T>(&self, log: Log, driver: Driver<JournalFolder, S>) -> Result<(), Poisoned>
    where
        S: Fn(std::time::Duration) -> T,
        T: Future<Output = ()> + 'static,
    {
        self.open(log);
        let mut driving = pin!(driver.run());
        let mut ended = None;
        poll_fn(|cx| {
            // The log first: what it has just made durable is committed in the same turn.
            if ended.is_none()
                && let Poll::Ready(end) = driving.as_mut().poll(cx)
            {
                ended = Some(end);
            }
            self.settle(self.commits().decided(cx));
            match ended.take() {
                Some(end) => {
                    self.end(if end.is_err() { StoreError::Poisoned } else { StoreError::Closed });
                    Poll::Ready(end)
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Sends what came while the log was being started.
    fn open(&self, log: Log) {
        let commits = self.commits();
        for Unsent { machine, change, reply } in commits.unsent.take() {
            if let Err((sequence, error, reply)) = commits.append(&log, machine, change, reply) {
                self.store().give_up(machine, sequence);
                reply.give(Err(error.into()));
            }
        }
        if commits.stopping.get() {
            log.stop();
        }
        commits.door.replace(Door::Open(log));
    }

    /// Lets the task that writes end once everything is durable. No change is taken any more.
    pub fn stop(&self) {
        let commits = self.commits();
        commits.stopping.set(true);
        if let Door::Open(log) = &*commits.door.borrow() {
            log.stop();
        }
        commits.wake();
    }

    fn end(&self, error: StoreError) {
        let commits = self.commits();
        let former = commits.door.replace(Door::Ended(error.clone()));
        drop(former);
        self.refuse_unsent(&error);
        let flying = commits.flying.take();
        flying.into_iter().for_each(|flying| flying.reply.give(Err(error.clone())));
        // Who meets a change that nobody will commit any more hears of the end.
        self.store().meeting.wake_all();
    }

    /// Undoes what was never handed to a log.
    fn refuse_unsent(&self, error: &StoreError) {
        for Unsent { machine, change, reply } in self.commits().unsent.take() {
            self.store().give_up(machine, change.sequence);
            reply.give(Err(error.clone()));
        }
    }

    /// Commits what is durable, undoes what was refused, and tells everybody whom it concerns.
    fn settle(&self, settled: Vec<Settled>) {
        if settled.is_empty() {
            return;
        }
        let store = self.store();
        let fates = settled.iter().map(|(flying, fate)| (flying.machine, flying.sequence, fate));
        let committed = store.commit_all(fates);
        for ((flying, fate), answer) in settled.into_iter().zip(committed) {
            if let Some(Answer::Queue(queue::Answer::Claimed(tasks))) =
                answer.as_ref().filter(|_| flying.reply.is_forlorn())
            {
                self.give_back(tasks);
            }
            flying.reply.give(fate.map(|()| answer).map_err(StoreError::from));
        }
    }
}
