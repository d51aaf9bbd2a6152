//! Changes that wait for whoever listens.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use event_listener::Event;

use super::listen::ListenFilter;
use crate::client::error::ClientError;
use crate::client::handlers::Change;
use crate::runtime::StopFlag;

/// The changes of one subscription.
#[derive(Debug)]
pub(crate) struct Waiting {
    changes: RefCell<VecDeque<Change>>,
    max: usize,
    filter: ListenFilter,
    missed: Cell<u64>,
    end: RefCell<Option<Result<(), ClientError>>>,
    news: Event,
    /// Set when nobody listens any more.
    pub(crate) left: StopFlag,
}

impl Waiting {
    pub(crate) fn new(filter: ListenFilter, max: usize) -> Self {
        Waiting {
            changes: RefCell::default(),
            max,
            filter,
            missed: Cell::new(0),
            end: RefCell::default(),
            news: Event::new(),
            left: StopFlag::new(),
        }
    }

    /// Whether the change was asked for here.
    pub(crate) fn admits(&self, change: &Change) -> bool {
        self.filter.admits(change)
    }

    /// Adds a change that was asked for. One that still waits stands for both; the oldest makes room.
    pub(crate) fn push(&self, change: Change) {
        let mut changes = self.changes.borrow_mut();
        if !self.admits(&change) || changes.contains(&change) {
            return;
        }
        if changes.len() >= self.max {
            changes.pop_front();
            self.missed.set(self.missed.get() + 1);
        }
        changes.push_back(change);
        self.news.notify(1);
    }

    /// Ends it when the guard is dropped, unless it has ended by then: its stream is read by a task, and a task may be
    /// dropped with its scope.
    pub(crate) fn end_with(self: &Rc<Self>) -> EndWith {
        EndWith(Rc::clone(self))
    }

    /// No more changes will come.
    pub(crate) fn end(&self, how: Result<(), ClientError>) {
        self.end.borrow_mut().get_or_insert(how);
        self.news.notify(usize::MAX);
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed.get()
    }

    /// The next change; an error once, and then nothing, when the stream ended.
    pub(crate) async fn next(&self) -> Option<Result<Change, ClientError>> {
        loop {
            let news = self.news.listen();
            if let Some(change) = self.changes.borrow_mut().pop_front() {
                return Some(Ok(change));
            }
            if let Some(how) = self.end.borrow_mut().as_mut() {
                return std::mem::replace(how, Ok(())).err().map(Err);
            }
            news.await;
        }
    }
}

/// Ends a subscription with whoever feeds it.
pub(crate) struct EndWith(Rc<Waiting>);

impl Drop for EndWith {
    fn drop(&mut self) {
        self.0.end(Err(ClientError::Closed));
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn resource(number: usize) -> Change {
        Change::Resource { uri: format!("test://{number}") }
    }

    #[test]
    fn what_was_not_asked_for_or_already_waits_is_not_queued() {
        let filter = ListenFilter::default().tools().resource("test://1");
        let waiting = Waiting::new(filter, 8);
        for change in [Change::Tools, Change::Prompts, resource(1), resource(2), Change::Tools] {
            waiting.push(change);
        }
        waiting.end(Ok(()));
        let mut all = Vec::new();
        while let Some(change) = block_on(waiting.next()) {
            all.push(change.unwrap());
        }
        assert_eq!((all, waiting.missed()), (vec![Change::Tools, resource(1)], 0));
    }

    #[test]
    fn the_queue_is_bounded_and_counts_what_it_dropped() {
        let filter = (0..9).fold(ListenFilter::default(), |filter, n| filter.resource(format!("test://{n}")));
        let waiting = Waiting::new(filter, 4);
        (0..9).for_each(|number| waiting.push(resource(number)));
        assert_eq!(waiting.missed(), 5);
        assert_eq!(block_on(waiting.next()), Some(Ok(resource(5))));
    }

    #[test]
    fn an_end_is_told_once_and_after_what_waits() {
        let waiting = Waiting::new(ListenFilter::default().tools(), 4);
        assert!(block_on(poll_once(waiting.next())).is_none());
        waiting.push(Change::Tools);
        waiting.end(Err(ClientError::Closed));
        waiting.end(Ok(()));
        assert_eq!(block_on(waiting.next()), Some(Ok(Change::Tools)));
        assert_eq!(block_on(waiting.next()), Some(Err(ClientError::Closed)));
        assert_eq!(block_on(waiting.next()), None);
    }
}
