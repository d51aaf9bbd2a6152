//! Runs futures together on one thread, in an order that a seed decides.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::random::Random;

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Polls every task again and again until all have ended, `over` says so, or nothing has happened for long.
pub(in super::super) fn run_all(random: &mut Random, mut tasks: Vec<Task<'_>>, over: impl Fn() -> bool) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..20_000 {
        if tasks.is_empty() || over() {
            return;
        }
        let index = random.below(tasks.len() as u64) as usize;
        if tasks[index].as_mut().poll(&mut cx).is_ready() {
            drop(tasks.swap_remove(index));
        }
    }
    panic!("{} tasks go on for ever", tasks.len());
}

/// Runs one future alone; `None` when `over` ended it.
pub(in super::super) fn run_one<T>(future: impl Future<Output = T>, over: impl Fn() -> bool) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..200_000 {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return Some(value),
            Poll::Pending if over() => return None,
            Poll::Pending => {}
        }
    }
    panic!("it goes on for ever");
}

/// A timer that counts polls: one for every 50 ms.
pub(in super::super) fn sleep(duration: Duration) -> impl Future<Output = ()> {
    let mut turns = duration.as_millis() / 50;
    poll_fn(move |_| {
        turns = turns.saturating_sub(1);
        if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Lets the others run.
pub(in super::super) async fn turn() {
    let mut done = false;
    poll_fn(|_| if std::mem::replace(&mut done, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}
