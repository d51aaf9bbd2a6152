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
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;
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
    static CURRENT: RefCell<Option<Rc<Driver>>> = const { RefCell::new(None) };
}

/// The ring of this thread's executor, for as long as it lives. Streams that waited through it before must not be waited
/// for afterwards.
pub struct SocketRing {
    /// Nothing where another one was there first, or where there can be none.
    task: Option<glommio::Task<Result<(), String>>>,
}

impl SocketRing {
    /// Sets it up, unless this executor has one. Without it, or where the kernel has none to give, streams wait through
    /// the reactor.
    ///
    /// # Panics
    /// On a thread that runs no executor.
    pub fn start(spin: Duration) -> Self {
        if CURRENT.with_borrow(Option::is_some) {
            return Self { task: None };
        }
        let (ring, events) = match PollRing::new() {
            Ok(made) => made,
            Err(error) => {
                tracing::debug!(%error, "sockets are waited for through the reactor");
                return Self { task: None };
            }
        };
        // SAFETY: the new file becomes the only owner of the descriptor.
        let events = unsafe { BufferedFile::from_raw_fd(events.into_raw_fd()) };
        let driver = Rc::new(Driver::new(ring));
        CURRENT.set(Some(Rc::clone(&driver)));
        let run = driver::run(driver, events, Spin::new(spin));
        Self { task: Some(queues::spawn_into(Queue::Serve, panics::caught(run))) }
    }
}

impl Drop for SocketRing {
    fn drop(&mut self) {
        if self.task.is_some() {
            CURRENT.set(None);
        }
    }
}

/// Finds what the ring of this thread may have left undone. It costs next to nothing, and belongs into each tick.
pub(super) fn check() {
    CURRENT.with_borrow(|driver| {
        if let Some(driver) = driver {
            driver.check();
        }
    });
}

impl fmt::Debug for SocketRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRing").field("driven", &self.task.is_some()).finish()
    }
}
