//! The tasks that wait for one event of a scope.

use std::cell::RefCell;
use std::task::Waker;

use super::slab::Slab;

/// A set of wakers, one for each future that waits.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: RefCell<Slab<Option<Waker>>>,
}

impl Waiters {
    /// Remembers whom to wake for the future that owns `key`, and gives it a key if it has none.
    pub(super) fn register(&self, key: &mut Option<usize>, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        let Some(place) = key.and_then(|key| wakers.find(key)) else {
            *key = Some(wakers.insert(Some(waker.clone())));
            return;
        };
        if !place.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *place = Some(waker.clone());
        }
    }

    /// Forgets a future that waits no longer.
    pub(super) fn remove(&self, key: Option<usize>) {
        let waker = key.and_then(|key| self.wakers.borrow_mut().remove(key));
        // Dropped here, where nothing is borrowed: it may be the last thing that keeps a task.
        drop(waker);
    }

    /// Wakes all who wait. They keep their keys.
    pub(super) fn wake_all(&self) {
        let wakers: Vec<Waker> = self.wakers.borrow_mut().iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}
