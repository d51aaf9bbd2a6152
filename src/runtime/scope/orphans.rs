//! Scopes of this thread that were abandoned, have no parent, and whose tasks are not gone yet.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

struct Orphans {
    scopes: Cell<usize>,
    waiter: Cell<Option<Waker>>,
}

thread_local! {
    static ORPHANS: Orphans = const { Orphans { scopes: Cell::new(0), waiter: Cell::new(None) } };
}

/// One more scope.
pub(super) fn add() {
    ORPHANS.with(|orphans| orphans.scopes.set(orphans.scopes.get() + 1));
}

/// The tasks of one scope are gone.
pub(super) fn remove() {
    ORPHANS.with(|orphans| {
        orphans.scopes.set(orphans.scopes.get() - 1);
        if let Some(waiter) = orphans.waiter.take() {
            waiter.wake();
        }
    });
}

/// Resolves when no abandoned scope of this thread has a task left. The executor's end waits for it.
pub(in crate::runtime) async fn orphans_gone() {
    poll_fn(|cx| {
        ORPHANS.with(|orphans| {
            if orphans.scopes.get() == 0 {
                return Poll::Ready(());
            }
            orphans.waiter.set(Some(cx.waker().clone()));
            Poll::Pending
        })
    })
    .await
}
