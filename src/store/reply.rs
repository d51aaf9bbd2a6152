//! The answer to a change: given once by the task that commits, taken by the asker, on one thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::StoreError;
use crate::{queue, scheduler};

/// What a committed change says to the one who asked for it.
#[derive(Debug)]
pub(super) enum Answer {
    Queue(queue::Answer),
    Workflows(scheduler::Answer),
}

/// What became of a change; the cache's have no answer but that they are kept.
pub(super) type Kept = Result<Option<Answer>, StoreError>;

#[derive(Debug, Default)]
struct Place {
    kept: Option<Kept>,
    waker: Option<Waker>,
}

/// The side of the one who commits.
#[derive(Debug)]
pub(super) struct Reply(Rc<RefCell<Place>>);

/// The side of the one who asked.
#[derive(Debug)]
pub(super) struct Awaited(Rc<RefCell<Place>>);

pub(super) fn reply() -> (Reply, Awaited) {
    let place = Rc::<RefCell<Place>>::default();
    (Reply(place.clone()), Awaited(place))
}

impl Reply {
    /// Whether the asker has gone.
    pub(super) fn is_forlorn(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    pub(super) fn give(self, kept: Kept) {
        let mut place = self.0.borrow_mut();
        place.kept = Some(kept);
        let waker = place.waker.take();
        drop(place);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Awaited {
    /// What was given and not looked at yet.
    pub(super) fn take(&mut self) -> Option<Kept> {
        self.0.borrow_mut().kept.take()
    }

    pub(super) async fn kept(&mut self) -> Kept {
        poll_fn(|cx| {
            let mut place = self.0.borrow_mut();
            if let Some(kept) = place.kept.take() {
                return Poll::Ready(kept);
            }
            let former = place.waker.replace(cx.waker().clone());
            drop(place);
            drop(former);
            Poll::Pending
        })
        .await
    }
}
