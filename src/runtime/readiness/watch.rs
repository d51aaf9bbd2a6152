//! One stream's side: what it hears of its socket.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::Context;

use super::current;
use super::driver::Driver;
use super::table::Key;

/// The interest of one stream in what it may read.
pub(in crate::runtime) struct Watch {
    driver: Rc<Driver>,
    key: Key,
}

impl Watch {
    /// Begins to watch `socket`, which must be connected; `None` where this thread has no ring.
    pub(in crate::runtime) fn new(socket: BorrowedFd<'_>) -> Option<Self> {
        let driver =
            current().map(|driven| Rc::clone(&driven.driver)).filter(|driver| !driver.has_retired())?;
        let key = driver.table().insert();
        driver.arm(socket, key);
        Some(Self { driver, key })
    }

    /// Whether a read may find something, or has to find out itself.
    pub(in crate::runtime) fn is_ready(&self) -> bool {
        self.driver.table().is_ready(self.key)
    }

    /// A read found less than it asked for.
    pub(in crate::runtime) fn drained(&self) {
        self.driver.table().drained(self.key);
    }

    /// A read would have blocked: the task of `cx` is woken when there is more. Not so where the answer is `false`: the
    /// kernel does not watch this socket.
    pub(in crate::runtime) fn wait(&self, socket: BorrowedFd<'_>, cx: &Context<'_>) -> bool {
        let mut table = self.driver.table();
        if table.is_refused(self.key) {
            return false;
        }
        let (arm, old) = table.wait(self.key, cx);
        drop(table);
        drop(old);
        if arm {
            self.driver.arm(socket, self.key);
        }
        true
    }
}

/// The poll holds on to the socket, so it is taken back before anybody waits for the connection's end.
impl Drop for Watch {
    fn drop(&mut self) {
        let (armed, waker) = self.driver.table().leave(self.key);
        drop(waker);
        if armed {
            self.driver.disarm(self.key);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.key).finish()
    }
}
