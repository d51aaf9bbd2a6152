//! One job: the future that waits for it, and the promise that something comes of it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Why a job has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobError {
    /// It panicked with this message.
    Panicked(String),
    /// The pool was shut down before the job began.
    Abandoned,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "the blocking job panicked: {message}"),
            Self::Abandoned => f.write_str("the blocking pool was shut down before the job began"),
        }
    }
}

impl Error for JobError {}

/// Where a job leaves its outcome.
struct Slot<T> {
    cell: Mutex<Cell<T>>,
}

struct Cell<T> {
    outcome: Option<Result<T, JobError>>,
    waiter: Option<Waker>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { cell: Mutex::new(Cell { outcome: None, waiter: None }) }
    }
}

impl<T> Slot<T> {
    fn cell(&self) -> MutexGuard<'_, Cell<T>> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's two sides: the promise goes with it to its thread, the future stays here.
pub(super) fn promise<T>() -> (Promise<T>, Job<T>) {
    let slot = Arc::new(Slot::default());
    (Promise { slot: Arc::clone(&slot), kept: false }, Job { slot })
}

/// The job's side of the slot: something is always left there.
pub(super) struct Promise<T> {
    slot: Arc<Slot<T>>,
    kept: bool,
}

impl<T> Promise<T> {
    /// Whether anybody still holds the future.
    pub(super) fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.slot) > 1
    }

    pub(super) fn keep(mut self, outcome: Result<T, JobError>) {
        self.leave(outcome);
    }

    fn leave(&mut self, outcome: Result<T, JobError>) {
        self.kept = true;
        let mut cell = self.slot.cell();
        cell.outcome = Some(outcome);
        let waiter = cell.waiter.take();
        drop(cell);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.kept {
            self.leave(Err(JobError::Abandoned));
        }
    }
}

/// A job's future: its value, or why there is none.
pub struct Job<T> {
    slot: Arc<Slot<T>>,
}

impl<T> Future for Job<T> {
    type Output = Result<T, JobError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut cell = self.slot.cell();
        if let Some(outcome) = cell.outcome.take() {
            return Poll::Ready(outcome);
        }
        if !cell.waiter.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            cell.waiter = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}
