//! The handle of a log: append a record, and await that it is kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Record;
use super::committer::{Committer, Ticket};
use super::error::AppendError;
use super::shared::{Counters, Journal};

/// The log of one core. A clone is the same log; none leaves its thread.
#[derive(Debug, Clone)]
pub struct Log {
    inner: Rc<RefCell<Inner>>,
    journal: Arc<Journal>,
    log: u32,
}

#[derive(Debug)]
struct Inner {
    committer: Committer,
    waiters: BTreeMap<Ticket, Waker>,
    driver: Option<Waker>,
    end: Option<AppendError>,
    stopping: bool,
}

/// Becomes ready when the fate of a record is known. Dropping it changes nothing for the record.
#[derive(Debug)]
#[must_use = "a record is acknowledged only once this says so"]
pub struct Durable {
    inner: Rc<RefCell<Inner>>,
    ticket: Ticket,
}

/// Why the driver goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Records,
    Stop,
}

impl Log {
    pub(super) fn new(committer: Committer, journal: Arc<Journal>, log: u32) -> Self {
        let waiters = BTreeMap::new();
        let inner = Inner { committer, waiters, driver: None, end: None, stopping: false };
        Self { inner: Rc::new(RefCell::new(inner)), journal, log }
    }

    /// Appends a record. The future says what became of it: kept as the mode promises, or refused with
    /// [`AppendError::DiskFull`], which nothing was written of, or unknown because the log ended. A `refusable` record
    /// gives way to others when the disk is full.
    ///
    /// # Errors
    /// The record was not taken at all.
    pub fn append(&self, record: Record, refusable: bool) -> Result<Durable, AppendError> {
        let mut inner = self.inner.borrow_mut();
        if self.journal.poison.reason().is_some() {
            return Err(AppendError::Poisoned);
        }
        if let Some(end) = &inner.end {
            return Err(end.clone());
        }
        if inner.stopping {
            return Err(AppendError::Closed);
        }
        let ticket =
            inner.committer.push(record, refusable).inspect_err(|error| self.count_refusal(error))?;
        let driver = inner.driver.take();
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(Durable { inner: Rc::clone(&self.inner), ticket })
    }

    fn count_refusal(&self, error: &AppendError) {
        match error {
            AppendError::DiskFull => Counters::add(&self.counters().disk_full, 1),
            AppendError::Busy => Counters::add(&self.counters().busy, 1),
            _ => {}
        }
    }

    /// Whether refusable records are refused, because no segment could be reserved.
    pub fn is_full(&self) -> bool {
        self.inner.borrow().committer.is_full()
    }

    /// Lets the driver write and sync what waits, and end. Nothing more is taken.
    pub fn stop(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.stopping = true;
        let driver = inner.driver.take();
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(super) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    pub(super) fn counters(&self) -> &Counters {
        self.journal.counters(self.log)
    }

    pub(super) fn note_newest(&self, sequence: u64) {
        self.journal.note_newest(self.log, sequence);
    }

    /// Looks at or changes the committer, without telling anybody.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Committer) -> T) -> T {
        act(&mut self.inner.borrow_mut().committer)
    }

    /// Changes the committer, then wakes those whose records are decided.
    pub(super) fn settle<T>(&self, act: impl FnOnce(&mut Committer) -> T) -> T {
        let mut inner = self.inner.borrow_mut();
        let result = act(&mut inner.committer);
        let Inner { committer, waiters, .. } = &mut *inner;
        let open = waiters.split_off(&committer.settled());
        let mut decided = std::mem::replace(waiters, open);
        for ticket in committer.refused() {
            decided.extend(waiters.remove_entry(&ticket));
        }
        drop(inner);
        decided.into_values().for_each(Waker::wake);
        result
    }

    /// Nothing is acknowledged from now on.
    pub(super) fn end(&self, reason: AppendError) {
        let mut inner = self.inner.borrow_mut();
        inner.end.get_or_insert(reason);
        let waiters = std::mem::take(&mut inner.waiters);
        drop(inner);
        waiters.into_values().for_each(Waker::wake);
    }

    /// Whether the driver has something to do; otherwise it is woken when it has.
    pub(super) fn poll_work(&self, cx: &mut Context<'_>) -> Poll<Work> {
        let mut inner = self.inner.borrow_mut();
        if inner.committer.has_waiting() {
            return Poll::Ready(Work::Records);
        }
        if inner.stopping {
            return Poll::Ready(Work::Stop);
        }
        let former = inner.driver.replace(cx.waker().clone());
        drop(inner);
        // A waker may be the last to know its task, whose end must not meet the borrow.
        drop(former);
        Poll::Pending
    }
}

impl Future for Durable {
    type Output = Result<(), AppendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.inner.borrow_mut();
        if let Some(verdict) = inner.committer.verdict(self.ticket) {
            return Poll::Ready(verdict);
        }
        if let Some(end) = &inner.end {
            return Poll::Ready(Err(end.clone()));
        }
        let former = inner.waiters.insert(self.ticket, cx.waker().clone());
        drop(inner);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        let mut inner = self.inner.borrow_mut();
        let former = inner.waiters.remove(&self.ticket);
        inner.committer.forget(self.ticket);
        drop(inner);
        drop(former);
    }
}
