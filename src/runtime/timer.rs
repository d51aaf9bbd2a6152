//! Fine timers, for pauses and deadlines that are few. Requests use [`super::Deadline`], which is cheaper.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// The longest wait that is told from one without an end: the reactor adds it to the time that it is.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A one-shot timer of the reactor. Dropping it disarms it.
#[derive(Debug)]
pub struct Timer(glommio::timer::Timer);

impl Timer {
    /// A timer that fires once `duration` has passed, a year at most.
    ///
    /// # Panics
    /// On a thread that runs no executor.
    pub fn after(duration: Duration) -> Self {
        Self(glommio::timer::Timer::new(duration.min(LONGEST_WAIT)))
    }

    /// A timer that fires at `at`, or at once when that has passed.
    pub fn at(at: Instant) -> Self {
        Self::after(at.saturating_duration_since(Instant::now()))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(())
    }
}

/// Pauses the task for at least `duration`.
///
/// # Panics
/// On a thread that runs no executor.
pub async fn sleep(duration: Duration) {
    Timer::after(duration).await;
}

/// Lets the other tasks of this queue, and the other queues, run before this task goes on.
pub async fn yield_now() {
    glommio::executor().yield_task_queue_now().await;
}
