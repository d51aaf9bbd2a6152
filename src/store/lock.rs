//! A lock that is held for moments: no await, no I/O, no unbounded work under it. It counts how long others waited for it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

/// The lock.
#[derive(Debug)]
pub(super) struct ShortLock<T> {
    inner: Mutex<T>,
    waits: AtomicU64,
    waited_ns: AtomicU64,
}

/// What the lock guards, for a moment.
pub(super) struct Guard<'a, T> {
    inner: MutexGuard<'a, T>,
    was_panicking: bool,
}

impl<T> ShortLock<T> {
    pub(super) fn new(value: T) -> ShortLock<T> {
        ShortLock { inner: Mutex::new(value), waits: AtomicU64::new(0), waited_ns: AtomicU64::new(0) }
    }

    /// Waits for its turn, which takes as long as the others' moments do.
    pub(super) fn lock(&self) -> Guard<'_, T> {
        let inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => self.wait(),
        };
        Guard { inner, was_panicking: std::thread::panicking() }
    }

    #[cold]
    fn wait(&self) -> MutexGuard<'_, T> {
        let begun_at = Instant::now();
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = u64::try_from(begun_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.waited_ns.fetch_add(waited, Ordering::Relaxed);
        inner
    }

    /// How often somebody had to wait, and for how many nanoseconds in all.
    pub(super) fn waits(&self) -> (u64, u64) {
        (self.waits.load(Ordering::Relaxed), self.waited_ns.load(Ordering::Relaxed))
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // What is half changed must not be told to anybody; the journal has all that was acknowledged.
        if !self.was_panicking && std::thread::panicking() {
            tracing::error!(
                "a panic while the task queue was being changed; the process ends, to recover from its journal"
            );
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_are_counted() {
        let lock = ShortLock::new(1);
        *lock.lock() += 1;
        assert_eq!((*lock.lock(), lock.waits()), (2, (0, 0)));
        std::thread::scope(|scope| {
            let guard = lock.lock();
            scope.spawn(|| *lock.lock());
            std::thread::sleep(Duration::from_millis(50));
            drop(guard);
        });
        let (waits, waited_ns) = lock.waits();
        assert!(waits == 1 && waited_ns > 0, "{waits} {waited_ns}");
    }
}
