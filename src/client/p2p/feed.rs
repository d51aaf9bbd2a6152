//! Messages that wait for whoever asked for them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use event_listener::Event;

use crate::client::transport::TransportError;

/// One message, and whether it is the last one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) bytes: Vec<u8>,
    pub(super) is_last: bool,
}

/// What came for one request, or for none in particular.
#[derive(Debug, Default)]
pub(super) struct Feed {
    waiting: RefCell<VecDeque<Arrival>>,
    bytes: Cell<usize>,
    /// Whether anything has ever come.
    was_fed: Cell<bool>,
    end: RefCell<Option<TransportError>>,
    news: Event,
}

impl Feed {
    pub(super) fn push(&self, arrival: Arrival) {
        self.was_fed.set(true);
        self.bytes.set(self.bytes.get() + arrival.bytes.len());
        self.waiting.borrow_mut().push_back(arrival);
        self.news.notify(usize::MAX);
    }

    /// Nothing more will come. What waits can still be read.
    pub(super) fn fail(&self, error: TransportError) {
        let error = match error {
            TransportError::Closed { .. } => TransportError::Closed { before_answer: !self.was_fed.get() },
            error => error,
        };
        self.end.borrow_mut().get_or_insert(error);
        self.news.notify(usize::MAX);
    }

    /// Drops all that waits.
    pub(super) fn clear(&self) {
        self.waiting.borrow_mut().clear();
        self.bytes.set(0);
    }

    /// Drops the oldest message, unless it is the only one; false when it is.
    pub(super) fn drop_oldest(&self) -> bool {
        self.waiting() > 1 && self.pop().is_some()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    fn pop(&self) -> Option<Arrival> {
        let arrival = self.waiting.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - arrival.bytes.len());
        Some(arrival)
    }

    /// The next message, or why there will be none.
    pub(super) async fn next(&self) -> Result<Arrival, TransportError> {
        loop {
            if let Some(arrival) = self.pop() {
                return Ok(arrival);
            }
            if let Some(error) = &*self.end.borrow() {
                return Err(error.clone());
            }
            let news = self.news.listen();
            if self.waiting() == 0 && self.end.borrow().is_none() {
                news.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn arrival(length: usize) -> Arrival {
        Arrival { bytes: vec![b' '; length], is_last: false }
    }

    #[test]
    fn what_waits_is_read_before_the_end_is_told() {
        let feed = Feed::default();
        assert!(block_on(poll_once(feed.next())).is_none());
        feed.push(arrival(3));
        feed.fail(TransportError::Closed { before_answer: true });
        feed.fail(TransportError::Timeout { what: "too late to matter" });
        assert_eq!(block_on(feed.next()), Ok(arrival(3)));
        assert_eq!(block_on(feed.next()), Err(TransportError::Closed { before_answer: false }));
    }

    #[test]
    fn a_feed_that_nothing_came_for_ends_before_an_answer() {
        let feed = Feed::default();
        feed.fail(TransportError::Closed { before_answer: false });
        assert_eq!(block_on(feed.next()), Err(TransportError::Closed { before_answer: true }));
    }

    #[test]
    fn the_last_message_is_kept_whatever_its_size() {
        let feed = Feed::default();
        feed.push(arrival(2));
        feed.push(arrival(5));
        assert!(feed.drop_oldest() && !feed.drop_oldest());
        assert_eq!((feed.waiting(), feed.bytes()), (1, 5));
        feed.clear();
        assert_eq!((feed.waiting(), feed.bytes()), (0, 0));
    }
}
