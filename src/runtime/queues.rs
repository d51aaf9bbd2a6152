//! The three task queues of a core and the one door through which tasks enter them.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use glommio::{Latency, Shares, TaskQueueHandle};

/// The latency that the two serving queues ask for.
///
/// A shorter one would shorten the reactor's preemption timer, and a short preemption timer is what makes the
/// reactor park with runnable tasks. So it is never below 50 ms; it is not a promise but a class.
const SERVE_LATENCY: Duration = Duration::from_millis(50);
/// The same for work that may wait. It has to be said: see [`super::executor`]'s first turn.
const BACKGROUND_LATENCY: Duration = Duration::from_millis(100);

/// Where a task runs: which share of its core it gets and how soon it is woken from another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Queue {
    /// Requests, and everything that another thread may wake.
    Serve,
    /// Peer-to-peer streams; the same class as [`Queue::Serve`] with a share of its own.
    P2p,
    /// Work that may wait: sweeps, snapshots.
    Background,
}

impl Queue {
    /// Every queue, in the order of their indexes.
    pub const ALL: [Queue; 3] = [Queue::Serve, Queue::P2p, Queue::Background];

    const fn name(self) -> &'static str {
        match self {
            Queue::Serve => "serve",
            Queue::P2p => "p2p",
            Queue::Background => "background",
        }
    }

    const fn shares(self) -> usize {
        match self {
            Queue::Serve | Queue::P2p => 1_000,
            Queue::Background => 100,
        }
    }

    fn latency(self) -> Latency {
        let latency = match self {
            Queue::Serve | Queue::P2p => SERVE_LATENCY,
            Queue::Background => BACKGROUND_LATENCY,
        };
        Latency::Matters(SHORTENED.get().unwrap_or(latency))
    }
}

/// The queues of one executor, remembered on its thread.
#[derive(Clone, Copy)]
struct Handles {
    executor: usize,
    queues: [TaskQueueHandle; 3],
}

thread_local! {
    /// Keyed by the executor's id, because a thread may run one executor after another.
    static HANDLES: Cell<Option<Handles>> = const { Cell::new(None) };
    static SHORTENED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Tests shorten the preemption timer of this thread's next executor, to provoke the reactor's defects.
pub(super) fn shorten_latency(latency: Option<Duration>) {
    SHORTENED.set(latency);
}

fn handles() -> Handles {
    let executor = glommio::executor();
    let id = executor.id();
    if let Some(handles) = HANDLES.get().filter(|handles| handles.executor == id) {
        return handles;
    }
    let queues = Queue::ALL.map(|queue| {
        executor.create_task_queue(Shares::Static(queue.shares()), queue.latency(), queue.name())
    });
    let handles = Handles { executor: id, queues };
    HANDLES.set(Some(handles));
    handles
}

/// Creates this executor's queues if they do not exist yet.
///
/// # Panics
/// On a thread that runs no executor.
pub(super) fn create_queues() {
    handles();
}

/// The queue of the running task has had its turn once this task returns.
pub(super) fn yield_queue() {
    // The request is noted when the future is polled for the first time; it has nothing else to do.
    let _ = pin!(glommio::executor().yield_task_queue_now()).poll(&mut Context::from_waker(Waker::noop()));
}

/// Schedules `future` into one of this executor's queues. The caller has wrapped it so that it cannot panic: a
/// panic in one of these queues aborts the process.
///
/// # Panics
/// On a thread that runs no executor.
pub(super) fn spawn_into<T: 'static>(
    queue: Queue,
    future: impl Future<Output = T> + 'static,
) -> glommio::Task<T> {
    let handle = handles().queues[queue as usize];
    glommio::spawn_local_into(future, handle).expect("invariant: a queue of this executor is never removed")
}
