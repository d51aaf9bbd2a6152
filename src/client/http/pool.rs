//! The connections of one transport: a bounded number open, a few of them idle.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use event_listener::{Event, IntoNotification as _};

use super::wire::Wire;

/// A pool; clones share it.
#[derive(Clone)]
pub(super) struct Pool {
    inner: Rc<Inner>,
}

struct Inner {
    max_open: usize,
    max_idle: usize,
    idle_timeout: Duration,
    /// Connections in use, being opened, or idle.
    open: Cell<usize>,
    /// The one used last is last.
    idle: RefCell<Vec<Idle>>,
    closed: Cell<bool>,
    /// A connection has become free or idle.
    freed: Event,
}

struct Idle {
    wire: Wire,
    since: Instant,
}

/// The right to have one connection open.
pub(super) struct Permit {
    /// `None` once the connection is idle: it stays counted, by nobody's permit.
    pool: Option<Pool>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.inner.open.set(pool.inner.open.get() - 1);
            pool.inner.freed.notify(1.additional());
        }
    }
}

impl Pool {
    pub(super) fn new(max_open: usize, max_idle: usize, idle_timeout: Duration) -> Pool {
        let inner = Inner {
            max_open: max_open.max(1),
            max_idle,
            idle_timeout,
            open: Cell::new(0),
            idle: RefCell::default(),
            closed: Cell::new(false),
            freed: Event::new(),
        };
        Pool { inner: Rc::new(inner) }
    }

    /// An idle connection that still lives, or the right to open one, as soon as there is either.
    pub(super) async fn take(&self) -> (Option<Wire>, Permit) {
        loop {
            if let Some(found) = self.take_idle().await {
                return found;
            }
            if let Some(permit) = self.try_permit() {
                return (None, permit);
            }
            let freed = self.inner.freed.listen();
            // What became free before this listened has told nobody here.
            if self.inner.idle.borrow().is_empty() && self.inner.open.get() >= self.inner.max_open {
                freed.await;
            }
        }
    }

    fn try_permit(&self) -> Option<Permit> {
        let open = self.inner.open.get();
        (open < self.inner.max_open).then(|| {
            self.inner.open.set(open + 1);
            Permit { pool: Some(self.clone()) }
        })
    }

    /// Connections that have waited too long, or have been closed or spoken on by the server, are closed.
    async fn take_idle(&self) -> Option<(Option<Wire>, Permit)> {
        loop {
            let Idle { mut wire, since } = self.inner.idle.borrow_mut().pop()?;
            // It has been counted as open all the time; from here on the permit counts it.
            let permit = Permit { pool: Some(self.clone()) };
            if since.elapsed() < self.inner.idle_timeout && is_quiet(&mut wire).await {
                return Some((Some(wire), permit));
            }
        }
    }

    /// Takes a connection back after an answer that left it in order.
    pub(super) fn give_back(&self, wire: Wire, mut permit: Permit) {
        let full = self.inner.idle.borrow().len() >= self.inner.max_idle;
        if self.inner.closed.get() || full {
            return;
        }
        self.inner.idle.borrow_mut().push(Idle { wire, since: Instant::now() });
        permit.pool = None;
        self.inner.freed.notify(1.additional());
    }

    /// Closes every idle connection.
    pub(super) fn drop_idle(&self) {
        let idle = self.inner.idle.take();
        self.inner.open.set(self.inner.open.get() - idle.len());
        self.inner.freed.notify(idle.len().additional());
    }

    /// Closes the idle connections, and each other one after its answer.
    pub(super) fn close(&self) {
        self.inner.closed.set(true);
        self.drop_idle();
    }

    /// Connections that are open, in use or idle.
    pub(super) fn open(&self) -> usize {
        self.inner.open.get()
    }
}

/// Nothing has come on an idle connection, not even its end.
async fn is_quiet(wire: &mut Wire) -> bool {
    poll_fn(|cx| Poll::Ready(wire.poll_read(cx, &mut Vec::new()).is_pending())).await
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = self.inner.idle.borrow().len();
        write!(f, "{} of {} connections open, {idle} idle", self.inner.open.get(), self.inner.max_open)
    }
}
