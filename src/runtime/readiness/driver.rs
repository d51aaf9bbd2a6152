//! What drives the ring: a task that looks when the ring says that it has something, and for as long as there is more.

use std::cell::{Cell, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use glommio::io::BufferedFile;

use super::poll_ring::PollRing;
use super::spin::Spin;
use super::table::{Key, Table};
use crate::runtime::queues;

/// So often a core looks at what came in meanwhile before the reactor has its turn with timers, files and other threads.
const ROUNDS: u32 = 8;
/// Looks between two turns of the other tasks, about a microsecond.
const LOOKS: u32 = 32;
/// The counter that an eventfd gives out.
const EVENT_BYTES: usize = 8;

thread_local! {
    /// What tasks of this core wait for from the reactor, as far as it must not be late.
    static AWAITED: Cell<u32> = const { Cell::new(0) };
}

/// Somebody waits for the reactor, which would have no turn while the core spins.
pub(in crate::runtime) struct AwaitsReactor(());

impl AwaitsReactor {
    pub(in crate::runtime) fn new() -> Self {
        AWAITED.set(AWAITED.get() + 1);
        Self(())
    }
}

impl Drop for AwaitsReactor {
    fn drop(&mut self) {
        AWAITED.set(AWAITED.get() - 1);
    }
}

fn reactor_is_awaited() -> bool {
    AWAITED.get() > 0
}

/// A core's ring and what is known from it.
pub(super) struct Driver {
    ring: RefCell<PollRing>,
    table: RefCell<Table>,
    /// The driving task, once it has run.
    task: RefCell<Option<Waker>>,
    failed: Cell<bool>,
}

impl Driver {
    pub(super) fn new(ring: PollRing) -> Self {
        Self {
            ring: RefCell::new(ring),
            table: RefCell::new(Table::new()),
            task: RefCell::new(None),
            failed: Cell::new(false),
        }
    }

    pub(super) fn table(&self) -> RefMut<'_, Table> {
        self.table.borrow_mut()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// The kernel is to tell of the socket's changes.
    pub(super) fn arm(&self, socket: BorrowedFd<'_>, key: Key) {
        self.ring.borrow_mut().arm(socket, key.user_data());
        self.kick();
    }

    /// The kernel is to tell no more.
    pub(super) fn disarm(&self, key: Key) {
        self.ring.borrow_mut().disarm(key.user_data());
        self.kick();
    }

    /// Has the driver look, should something have been left undone.
    pub(super) fn check(&self) {
        if self.ring.borrow_mut().has_work() {
            self.kick();
        }
    }

    /// There is something for the kernel.
    fn kick(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// Spins for a microsecond or until the kernel has something.
    fn look(&self) {
        let mut ring = self.ring.borrow_mut();
        for _ in 0..LOOKS {
            if ring.has_work() {
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// Takes in what the kernel has; `woken` is scratch space. Says whether there was anything.
    fn turn(&self, woken: &mut Vec<Waker>) -> io::Result<bool> {
        let mut any = false;
        let turned = {
            let (mut ring, mut table) = (self.ring.borrow_mut(), self.table.borrow_mut());
            ring.turn(|user_data, result, more| {
                any = true;
                woken.extend(table.complete(user_data, result, more));
            })
        };
        woken.drain(..).for_each(Waker::wake);
        turned.map(|()| any)
    }

    /// The ring is of no more use. Its streams go on with the reactor.
    fn fail(&self, error: &io::Error) {
        tracing::error!(%error, "the ring for sockets has failed; they are waited for through the reactor from now on");
        self.failed.set(true);
        let woken = self.table.borrow_mut().refuse_all();
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Looks at the ring whenever it says that it has something, and goes on for as long as there is more.
pub(super) async fn run(driver: Rc<Driver>, events: BufferedFile, mut spin: Spin) {
    let mut woken = Vec::new();
    let mut rounds = 0;
    loop {
        let mut event = pin!(events.read_at(0, EVENT_BYTES));
        let mut armed = false;
        let driven = poll_fn(|cx| {
            driver.task.borrow_mut().get_or_insert_with(|| cx.waker().clone());
            driver.ring.borrow_mut().announce(false);
            let any = match driver.turn(&mut woken) {
                Ok(any) => any,
                Err(error) => return Poll::Ready(Err(error)),
            };
            if any {
                spin.won();
            }
            if any && rounds < ROUNDS {
                // Those who were woken run first, and then whoever has sent something meanwhile is served at once.
                rounds += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !any && !armed && !reactor_is_awaited() && spin.goes_on(Instant::now()) {
                // The other queues have their turn between two looks.
                driver.look();
                queues::yield_queue();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            (rounds, armed) = (0, true);
            driver.ring.borrow_mut().announce(true);
            event.as_mut().poll(cx).map(|read| read.map(drop).map_err(io::Error::from))
        });
        if let Err(error) = driven.await {
            return driver.fail(&error);
        }
    }
}
