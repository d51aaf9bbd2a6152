//! Deadlines of connections and requests: many, moved often, met rarely.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::clock::coarse_now;
use super::core_slot::SLOW_TICKS;
use super::tick;
use super::timer::Timer;
use super::wheel::{Entry, Wheel};

thread_local! {
    static WHEEL: RefCell<Option<Wheel>> = const { RefCell::new(None) };
}

fn with_wheel<T>(action: impl FnOnce(&mut Wheel) -> T) -> T {
    WHEEL.with_borrow_mut(|wheel| action(wheel.get_or_insert_with(|| Wheel::new(Instant::now()))))
}

/// A deadline of this core that can be set, moved and cleared at the price of a few memory accesses.
///
/// It is coarse: noticed up to two ticks (50 ms) late, never early. Where no [`super::CoreTick`] lives, a timer of the
/// reactor stands in for the core's tick: it costs what timers cost, and a deadline that is set while it is waited for
/// counts from the next poll on. It has one waiter, the task that polled it last.
#[derive(Debug)]
pub struct Deadline {
    entry: Entry,
    at: Cell<Option<Instant>>,
    /// Stands in for the tick where there is none, with the time that it was armed for.
    timer: RefCell<Option<(Instant, Timer)>>,
    /// It lives in its core's wheel.
    _core: PhantomData<Rc<()>>,
}

impl Deadline {
    /// A deadline that is not set.
    pub fn new() -> Self {
        Self {
            entry: with_wheel(Wheel::insert),
            at: Cell::new(None),
            timer: RefCell::new(None),
            _core: PhantomData,
        }
    }

    /// Sets or moves the deadline.
    pub fn set(&self, at: Instant) {
        self.at.set(Some(at));
        with_wheel(|wheel| wheel.set(self.entry, Some(at)));
        // The wheel of a slow core may be as far behind as its next tick is ahead.
        if tick::is_slow() && !with_wheel(|wheel| wheel.is_calm(2 * SLOW_TICKS + 1)) {
            tick::quicken();
        }
    }

    /// Sets or moves the deadline to `after` from now.
    pub fn set_after(&self, after: Duration) {
        self.set(Instant::now() + after);
    }

    /// Clears the deadline: it does not expire until it is set again.
    pub fn clear(&self) {
        if self.at.take().is_some() {
            with_wheel(|wheel| wheel.set(self.entry, None));
        }
    }

    /// When it expires, if it is set.
    pub fn at(&self) -> Option<Instant> {
        self.at.get()
    }

    /// Whether it is set and has passed, by the coarse clock.
    pub fn is_expired(&self) -> bool {
        self.at.get().is_some_and(|at| at <= coarse_now())
    }

    /// Ready once the deadline has passed. Pending while it is not set; the task is then woken should it be set.
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_expired() {
            return Poll::Ready(());
        }
        let replaced = with_wheel(|wheel| wheel.register(self.entry, cx.waker()));
        drop(replaced);
        if tick::is_running() { Poll::Pending } else { self.poll_timer(cx) }
    }

    fn poll_timer(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.borrow_mut();
        let Some(at) = self.at.get() else {
            *timer = None;
            return Poll::Pending;
        };
        if timer.as_ref().is_none_or(|(armed, _)| *armed != at) {
            *timer = Some((at, Timer::at(at)));
        }
        timer.as_mut().map_or(Poll::Pending, |(_, timer)| Pin::new(timer).poll(cx))
    }

    /// As [`Deadline::poll_expired`], to be awaited.
    pub async fn expired(&self) {
        poll_fn(|cx| self.poll_expired(cx)).await;
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // The wheel may be gone already when the thread itself ends.
        let waker =
            WHEEL.try_with(|wheel| wheel.borrow_mut().as_mut().and_then(|wheel| wheel.remove(self.entry)));
        drop(waker);
    }
}

/// Wakes whoever waits for a deadline of this core that has passed; `expired` is scratch space. Says whether none is
/// near.
pub(super) fn expire(now: Instant, expired: &mut Vec<Waker>) -> bool {
    let calm = with_wheel(|wheel| {
        wheel.advance(now, expired);
        wheel.is_calm(SLOW_TICKS + 1)
    });
    expired.drain(..).for_each(Waker::wake);
    calm
}

#[cfg(test)]
mod tests {
    use super::super::{ExecutorSettings, spawn_executor};
    use super::*;

    #[test]
    fn without_a_tick_a_timer_stands_in_and_follows_what_is_set() {
        let main = || async {
            let begun = Instant::now();
            let deadline = Deadline::new();
            deadline.set(begun + Duration::from_secs(60));
            let moved = async {
                super::super::sleep(Duration::from_millis(20)).await;
                deadline.set(begun + Duration::from_millis(60));
                std::future::pending::<()>().await
            };
            // Moving a deadline does not wake its waiter here, so somebody polls it anew.
            let again = async {
                loop {
                    super::super::sleep(Duration::from_millis(10)).await;
                }
            };
            futures_lite::future::or(deadline.expired(), futures_lite::future::or(moved, again)).await;
            begun.elapsed()
        };
        let waited =
            spawn_executor(None, "test", &ExecutorSettings::default(), main).unwrap().join().unwrap();
        assert!(waited >= Duration::from_millis(60) && waited < Duration::from_secs(10), "{waited:?}");
    }
}
