//! Who waits for what: a bounded registry that events wake, and no timer.
//!
//! A task that anybody may take wakes one waiter and not all of them; one that finds that the task is not for it hands the
//! wake on to the next who waited already then. So a wake goes round at most once, and ten thousand waiters do not run
//! for one task.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::step::Wake;

const SHARDS: usize = 64;

type Shard = HashMap<Wake, BTreeMap<u64, Arc<Mutex<Place>>>>;

/// Who waits for what, on any core: a bounded number, woken by the event alone.
#[derive(Debug)]
pub struct Waiters {
    shards: [Mutex<Shard>; SHARDS],
    count: AtomicUsize,
    /// The number of the next waiter; whoever comes later has a greater one.
    next: AtomicU64,
    max: usize,
}

/// There are as many waiters as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWaiters;

/// What the one who waits and the one who wakes share.
#[derive(Debug, Default)]
struct Place {
    woken: Option<Woken>,
    waker: Option<Waker>,
}

/// How a waiter was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// With everybody else.
    WithAll,
    /// Alone. If it does not settle the wake, that goes on to the next with a smaller number than this.
    Alone(u64),
}

/// A place among the waiters; leaving it out of hand ends the wait.
#[derive(Debug)]
pub struct Waiter {
    waiters: Arc<Waiters>,
    key: Wake,
    number: u64,
    place: Arc<Mutex<Place>>,
}

impl Waiters {
    /// Room for `max` waiters.
    pub fn new(max: usize) -> Arc<Waiters> {
        let shards = std::array::from_fn(|_| Mutex::default());
        let (count, next) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Waiters { shards, count, next, max })
    }

    /// Waits for a key. Ask the queue after this call, not before it: what is committed in between wakes, too.
    ///
    /// # Errors
    /// When there is no room.
    pub fn wait(self: &Arc<Self>, key: Wake) -> Result<Waiter, TooManyWaiters> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(TooManyWaiters);
        }
        let place = Arc::<Mutex<Place>>::default();
        let mut shard = self.shard(&key);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        shard.entry(key.clone()).or_default().insert(number, place.clone());
        drop(shard);
        Ok(Waiter { waiters: self.clone(), key, number, place })
    }

    /// Wakes all who wait for a key.
    pub fn wake(&self, key: &Wake) {
        let places = self.shard(key).remove(key);
        places.into_iter().flatten().for_each(|(_, place)| rouse(&place, Woken::WithAll));
    }

    /// Wakes one who waits for a task of this type, the one who has waited longest; failing that, one who takes any.
    pub fn wake_one(&self, task_type: &Arc<str>) {
        let key = Wake::Type(task_type.clone());
        self.hand_on(&key, self.next.load(Ordering::Relaxed));
    }

    /// Wakes everybody, whatever they wait for.
    pub fn wake_all(&self) {
        for shard in &self.shards {
            let places = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            let places = places.into_values().flatten();
            places.for_each(|(_, place)| rouse(&place, Woken::WithAll));
        }
    }

    /// Wakes the first with a smaller number than `before`.
    fn hand_on(&self, key: &Wake, before: u64) {
        if self.count() == 0 {
            return;
        }
        let first = |key: &Wake| {
            let mut shard = self.shard(key);
            let places = shard.get_mut(key)?;
            let number = *places.range(..before).next()?.0;
            let place = places.remove(&number)?;
            if places.is_empty() {
                shard.remove(key);
            }
            // Still under the shard's lock: one that ends at this moment finds the wake, and hands it on.
            Some(mark(&place, Woken::Alone(before)))
        };
        let found = first(key).or_else(|| matches!(key, Wake::Type(_)).then(|| first(&Wake::AnyType))?);
        if let Some(Some(waker)) = found {
            waker.wake();
        }
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &Wake) -> MutexGuard<'_, Shard> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let shard = &self.shards[hasher.finish() as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes the wake, and gives the waker to be called once no lock is held.
fn mark(place: &Mutex<Place>, how: Woken) -> Option<Waker> {
    let mut place = lock(place);
    place.woken = Some(how);
    place.waker.take()
}

fn rouse(place: &Mutex<Place>, how: Woken) {
    if let Some(waker) = mark(place, how) {
        waker.wake();
    }
}

impl Waiter {
    /// Is ready when what was waited for was committed after [`Waiters::wait`].
    pub fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut place = lock(&self.place);
        if place.woken.is_some() {
            return Poll::Ready(());
        }
        let former = place.waker.replace(cx.waker().clone());
        drop(place);
        // A waker may be the last to know its task, whose end must not meet the lock.
        drop(former);
        Poll::Pending
    }

    /// Waits until what was waited for is committed.
    pub async fn woken(&self) {
        poll_fn(|cx| self.poll_woken(cx)).await;
    }

    /// If it was woken: nobody else need look, as the task was taken, or there is none.
    pub fn settle_if_woken(&self) {
        let mut place = lock(&self.place);
        place.woken = place.woken.map(|_| Woken::WithAll);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Ordering::Relaxed);
        let mut shard = self.waiters.shard(&self.key);
        if let Some(places) = shard.get_mut(&self.key) {
            places.remove(&self.number);
            if places.is_empty() {
                shard.remove(&self.key);
            }
        }
        drop(shard);
        let woken = lock(&self.place).woken;
        if let Some(Woken::Alone(before)) = woken {
            self.waiters.hand_on(&self.key, before);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    fn is_woken(waiter: &Waiter) -> bool {
        waiter.poll_woken(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn which(waiters: &[Waiter]) -> Vec<usize> {
        (0..waiters.len()).filter(|index| is_woken(&waiters[*index])).collect()
    }

    #[test]
    fn a_task_wakes_one_who_hands_the_wake_on_once_round() {
        let waiters = Waiters::new(8);
        let name: Arc<str> = "a".into();
        let key = Wake::Type(name.clone());
        let mut all: Vec<_> = (0..3).map(|_| waiters.wait(key.clone()).unwrap()).collect();
        let any = waiters.wait(Wake::AnyType).unwrap();
        waiters.wake_one(&name);
        assert_eq!((which(&all), is_woken(&any)), (vec![0], false));
        // It is not for the first, which waits anew behind the others.
        drop(all.remove(0));
        all.push(waiters.wait(key.clone()).unwrap());
        assert_eq!(which(&all), [0]);
        drop(all.remove(0));
        assert_eq!((which(&all), is_woken(&any)), (vec![0], false));
        drop(all.remove(0));
        assert!(is_woken(&any), "then those are asked who take any");
        drop(any);
        assert!(which(&all).is_empty(), "who came later is not asked about it");
    }

    #[test]
    fn a_wake_that_is_settled_goes_no_further() {
        let waiters = Waiters::new(8);
        let name: Arc<str> = "a".into();
        let (first, second) = (
            waiters.wait(Wake::Type(name.clone())).unwrap(),
            waiters.wait(Wake::Type(name.clone())).unwrap(),
        );
        waiters.wake_one(&name);
        first.settle_if_woken();
        drop(first);
        assert!(!is_woken(&second));
        waiters.wake(&Wake::Type(name));
        assert!(is_woken(&second));
        drop(second);
        assert_eq!(waiters.count(), 0);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let waiters = Waiters::new(1);
        let first = waiters.wait(Wake::Sequence(1)).unwrap();
        assert_eq!(waiters.wait(Wake::Sequence(2)).unwrap_err(), TooManyWaiters);
        drop(first);
        let again = waiters.wait(Wake::Sequence(2)).unwrap();
        waiters.wake_all();
        assert!(is_woken(&again));
    }
}
