//! Readiness of sockets, from a ring of this core's own.
//!
//! The reactor arms a poll for each wait, takes an interrupt for each one that is answered, and looks at its timers
//! between any two of them. Here a socket is watched once, by a poll that stays armed; what arrived is picked up for all
//! sockets together, when the core has nothing better to do. The ring lives under an unchanged reactor: a task drives
//! it, and while there is nothing to drive it waits for the ring's eventfd as for a file.
//!
//! It needs Linux 6.1. Where it cannot be had, streams wait through the reactor.

mod driver;
mod poll_ring;
mod spin;
mod table;
mod watch;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use glommio::io::BufferedFile;

use super::panics;
use super::queues::{self, Queue};
pub(super) use driver::AwaitsReactor;
use driver::Driver;
use poll_ring::PollRing;
use spin::Spin;
pub(super) use watch::Watch;

thread_local! {
    /// The ring that this thread had last. A thread may run one executor after another, so it comes with its executor.
    static CURRENT: RefCell<(usize, Weak<Driven>)> = const { RefCell::new((0, Weak::new())) };
}

/// The ring of this thread's executor, for as long as anybody holds it. Streams that outlive it wait through the reactor.
/// It must be dropped on its executor, while that runs.
pub struct SocketRing {
    /// Nothing where there can be none.
    _driven: Option<Rc<Driven>>,
}

/// A ring and the task that drives it.
struct Driven {
    driver: Rc<Driver>,
    /// Dropping it ends it.
    _task: glommio::Task<()>,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.driver.retire();
    }
}

/// What drives this executor's ring.
fn current() -> Option<Rc<Driven>> {
    CURRENT.with_borrow(|(executor, driven)| {
        let driven = driven.upgrade()?;
        (*executor == glommio::executor().id()).then_some(driven)
    })
}

impl SocketRing {
    /// Sets it up, or shares the one that this executor has. Without it, or where the kernel has none to give, streams
    /// wait through the reactor.
    ///
    /// # Panics
    /// On a thread that runs no executor.
    pub fn start(spin: Duration) -> Self {
        if let Some(driven) = current() {
            return Self { _driven: Some(driven) };
        }
        let (ring, events) = match PollRing::new() {
            Ok(made) => made,
            Err(error) => {
                tracing::debug!(%error, "sockets are waited for through the reactor");
                return Self { _driven: None };
            }
        };
        // SAFETY: the new file becomes the only owner of the descriptor.
        let events = unsafe { BufferedFile::from_raw_fd(events.into_raw_fd()) };
        let driver = Rc::new(Driver::new(ring));
        let run = driver::run(Rc::clone(&driver), events, Spin::new(spin));
        let task = queues::spawn_into(Queue::Serve, watched_over(Rc::clone(&driver), run));
        let driven = Rc::new(Driven { driver, _task: task });
        CURRENT.set((glommio::executor().id(), Rc::downgrade(&driven)));
        Self { _driven: Some(driven) }
    }
}

/// Whatever ends the driving, its streams go on with the reactor.
async fn watched_over(driver: Rc<Driver>, run: impl Future<Output = io::Result<()>>) {
    let error = match panics::caught(run).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    tracing::error!(%error, "the ring for sockets has failed; they are waited for through the reactor from now on");
    driver.retire();
}

/// Finds what the ring of this thread may have left undone. It costs next to nothing, and belongs into each tick.
pub(super) fn check() {
    if let Some(driven) = current() {
        driven.driver.check();
    }
}

impl fmt::Debug for SocketRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRing").field("driven", &self._driven.is_some()).finish()
    }
}

#[cfg(test)]
mod tests;
