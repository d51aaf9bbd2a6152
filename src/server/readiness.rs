//! The signal that a server is up, with the addresses it bound, for threads and for futures.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event_listener::{Event, Listener};

/// What is known of a server's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It is still starting.
    Pending,
    /// Every core accepts connections at these addresses.
    Ready(Vec<SocketAddr>),
    /// It ended before it was ready.
    Failed,
}

#[derive(Debug)]
struct Inner {
    start: Mutex<Start>,
    changed: Event,
}

/// A cloneable view of one server's start.
#[derive(Debug, Clone)]
pub struct Readiness {
    inner: Arc<Inner>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::new(Inner { start: Mutex::new(Start::Pending), changed: Event::new() }) }
    }

    /// What is known now.
    pub fn state(&self) -> Start {
        self.inner.start.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first state that is not [`Start::Pending`].
    pub async fn wait(&self) -> Start {
        loop {
            let listener = self.inner.changed.listen();
            match self.state() {
                Start::Pending => listener.await,
                known => return known,
            }
        }
    }

    /// Blocks the calling thread until the start is decided, or until `timeout` has passed (then [`Start::Pending`]).
    ///
    /// Never call it on an executor: it blocks that core.
    pub fn wait_timeout(&self, timeout: Duration) -> Start {
        let end = Instant::now() + timeout;
        loop {
            let listener = self.inner.changed.listen();
            let state = self.state();
            if state != Start::Pending || listener.wait_deadline(end).is_none() {
                return if state == Start::Pending { self.state() } else { state };
            }
        }
    }

    /// Decides the start; the first decision holds, except that a ready server may still fail later.
    pub(crate) fn decide(&self, start: Start) {
        let mut state = self.inner.start.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == Start::Pending {
            *state = start;
            drop(state);
            self.inner.changed.notify(usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_sees_the_addresses() {
        let readiness = Readiness::new();
        let waiter = readiness.clone();
        let thread = std::thread::spawn(move || waiter.wait_timeout(Duration::from_secs(10)));
        let address: SocketAddr = "127.0.0.1:8000".parse().unwrap();
        readiness.decide(Start::Ready(vec![address]));
        assert_eq!(thread.join().unwrap(), Start::Ready(vec![address]));
    }

    #[test]
    fn the_first_decision_holds() {
        let readiness = Readiness::new();
        readiness.decide(Start::Failed);
        readiness.decide(Start::Ready(Vec::new()));
        assert_eq!(readiness.state(), Start::Failed);
    }

    #[test]
    fn a_time_out_leaves_it_pending() {
        assert_eq!(Readiness::new().wait_timeout(Duration::from_millis(5)), Start::Pending);
    }
}
