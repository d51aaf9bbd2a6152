//! What drives the ring: a task that looks when the ring says that it has something, and for as long as there is more.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
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
/// A read of the eventfd keeps a waker of each time that it was polled, and the reactor counts wakers in 16 bits. So
/// often it is polled before it is made to end.
const MOST_WAKERS: u32 = 1_000;
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
    /// None once it is of no more use.
    ring: RefCell<Option<PollRing>>,
    table: RefCell<Table>,
    /// The driving task, once it has run.
    task: RefCell<Option<Waker>>,
    /// Who is to be woken. Whatever goes wrong meanwhile, nobody is forgotten.
    woken: RefCell<VecDeque<Waker>>,
}

impl Driver {
    pub(super) fn new(ring: PollRing) -> Self {
        Self {
            ring: RefCell::new(Some(ring)),
            table: RefCell::new(Table::new()),
            task: RefCell::default(),
            woken: RefCell::default(),
        }
    }

    pub(super) fn table(&self) -> RefMut<'_, Table> {
        self.table.borrow_mut()
    }

    pub(super) fn has_retired(&self) -> bool {
        self.ring.borrow().is_none()
    }

    /// The kernel is to tell of the socket's changes.
    pub(super) fn arm(&self, socket: BorrowedFd<'_>, key: Key) {
        self.with_ring(|ring| ring.arm(socket, key.user_data()));
        self.kick();
    }

    /// The kernel is to tell no more.
    pub(super) fn disarm(&self, key: Key) {
        self.with_ring(|ring| ring.disarm(key.user_data()));
        self.kick();
    }

    fn with_ring<T>(&self, work: impl FnOnce(&mut PollRing) -> T) -> Option<T> {
        self.ring.borrow_mut().as_mut().map(work)
    }

    /// Has the driver look, should something have been left undone.
    pub(super) fn check(&self) {
        if self.with_ring(PollRing::has_work) == Some(true) {
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
        self.with_ring(|ring| {
            for _ in 0..LOOKS {
                if ring.has_work() {
                    return;
                }
                std::hint::spin_loop();
            }
        });
    }

    /// Takes in what the kernel has. Says whether there was anything.
    fn turn(&self) -> io::Result<bool> {
        let mut any = false;
        let turned = {
            let (mut table, mut woken) = (self.table.borrow_mut(), self.woken.borrow_mut());
            self.with_ring(|ring| {
                ring.turn(|user_data, result, more| {
                    any = true;
                    woken.extend(table.complete(user_data, result, more));
                })
            })
        };
        self.wake();
        turned.unwrap_or(Ok(())).map(|()| any)
    }

    /// The ring is of no more use. Its streams go on with the reactor, and it lets go of their sockets.
    pub(super) fn retire(&self) {
        drop((self.ring.take(), self.task.take()));
        let refused = self.table.borrow_mut().refuse_all();
        self.woken.borrow_mut().extend(refused);
        self.wake();
    }

    fn wake(&self) {
        loop {
            let next = self.woken.borrow_mut().pop_front();
            let Some(waker) = next else { return };
            waker.wake();
        }
    }
}

/// Looks at the ring whenever it says that it has something, and goes on for as long as there is more.
///
/// # Errors
/// When the kernel refuses the ring, or its eventfd.
pub(super) async fn run(driver: Rc<Driver>, events: BufferedFile, mut spin: Spin) -> io::Result<()> {
    let mut rounds = 0;
    while !driver.has_retired() {
        let mut event = pin!(events.read_at(0, EVENT_BYTES));
        let (mut armed, mut polled) = (false, 0);
        let driven = poll_fn(|cx| {
            driver.task.borrow_mut().get_or_insert_with(|| cx.waker().clone());
            driver.with_ring(|ring| ring.announce(false));
            let any = match driver.turn() {
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
            (rounds, armed, polled) = (0, true, polled + 1);
            spin.stops();
            driver.with_ring(|ring| {
                ring.announce(true);
                if polled % MOST_WAKERS == 0 {
                    ring.ring_bell();
                }
            });
            event.as_mut().poll(cx).map(|read| read.map(drop).map_err(io::Error::from))
        });
        driven.await?;
    }
    Ok(())
}
