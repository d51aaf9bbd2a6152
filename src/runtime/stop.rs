//! The flag that ends the process: set once, seen by every core at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use event_listener::{Event, EventListener};

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    event: Event,
}

/// A flag that can be set from any thread and waited for on any executor.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    inner: Arc<Inner>,
}

impl StopFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes all who wait. It cannot be taken back.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.inner.event.notify(usize::MAX);
    }

    /// Whether the flag is set.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::SeqCst)
    }

    /// Resolves once the flag is set. The future may be kept and polled again and again.
    pub fn stopped(&self) -> Stopped {
        Stopped { flag: self.clone(), listener: None }
    }
}

/// The future of [`StopFlag::stopped`].
#[derive(Debug)]
pub struct Stopped {
    flag: StopFlag,
    listener: Option<EventListener>,
}

impl Future for Stopped {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if this.flag.is_stopped() {
                this.listener = None;
                return Poll::Ready(());
            }
            // Listening comes before the second look at the flag, so that no set is missed.
            match &mut this.listener {
                None => this.listener = Some(this.flag.inner.event.listen()),
                Some(listener) => {
                    ready!(Pin::new(listener).poll(cx));
                    this.listener = None;
                }
            }
        }
    }
}
