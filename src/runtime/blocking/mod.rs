//! The one pool of threads for code that blocks: a bounded number of threads, a bounded queue, and no silence.

mod job;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::affinity::CpuMask;
use super::panics;
use job::promise;
pub use job::{Job, JobError};

/// A thread without work for this long ends.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// The longest that dropping a pool waits for its threads.
const DROP_TIME: Duration = Duration::from_secs(1);

type Work = Box<dyn FnOnce() + Send>;

/// A bounded pool. Threads start when there is work and end when there has been none for half a minute.
///
/// It is `Send` and `Sync`; one pool serves every core. Await its jobs in [`super::Queue::Serve`] or
/// [`super::Queue::P2p`]: they are completed by another thread.
#[derive(Debug)]
pub struct BlockingPool {
    shared: Arc<Shared>,
}

struct Shared {
    max_threads: usize,
    max_queue: usize,
    /// Where the threads may run. A thread is started by whoever has work, and would else share the core of that one.
    cpus: Option<CpuMask>,
    state: Mutex<State>,
    /// There is work, or the pool has closed.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    threads: usize,
    /// Threads that are in no job.
    idle: usize,
    closed: bool,
}

/// The pool takes no more work now: every thread is busy and the queue is full, or the pool has been shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFull;

impl fmt::Display for PoolFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every blocking thread is busy and their queue is full")
    }
}

impl Error for PoolFull {}

/// Threads that were still in a job when the time for their end was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillRunning {
    /// How many.
    pub threads: usize,
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocking threads were still in a job when the pool was shut down", self.threads)
    }
}

impl Error for StillRunning {}

impl BlockingPool {
    /// A pool of at most `max_threads` threads (at least one), with room for `max_queue` jobs that wait for one. Its
    /// threads may run where the calling thread may, so call it on a thread that is not pinned.
    pub fn new(max_threads: usize, max_queue: usize) -> Self {
        Self::on_cpus(max_threads, max_queue, CpuMask::of_this_thread().ok())
    }

    /// As [`BlockingPool::new`], to be called wherever: the threads may run where the process's main thread may.
    pub fn unpinned(max_threads: usize, max_queue: usize) -> Self {
        Self::on_cpus(max_threads, max_queue, CpuMask::of_main_thread().ok())
    }

    fn on_cpus(max_threads: usize, max_queue: usize, cpus: Option<CpuMask>) -> Self {
        let (state, work, ended) = (Mutex::default(), Condvar::new(), Condvar::new());
        let shared = Shared { max_threads: max_threads.max(1), max_queue, cpus, state, work, ended };
        Self { shared: Arc::new(shared) }
    }

    /// Runs `job` on a thread of the pool. A job whose future is dropped before it begins is not run.
    ///
    /// # Errors
    /// [`PoolFull`] when there is neither a thread nor room to wait.
    pub fn submit<T, F>(&self, job: F) -> Result<Job<T>, PoolFull>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (promise, future) = promise();
        self.execute(Box::new(move || {
            if promise.is_awaited() {
                promise.keep(panics::catch(job).map_err(JobError::Panicked));
            }
        }))?;
        Ok(future)
    }

    /// Runs `work` on a thread of the pool, for whoever brings his own way to hear of its end. A panic is logged.
    ///
    /// # Errors
    /// [`PoolFull`] when there is neither a thread nor room to wait.
    pub fn execute(&self, work: Work) -> Result<(), PoolFull> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(PoolFull);
        }
        let needs_thread = state.queue.len() >= state.idle && state.threads < self.shared.max_threads;
        if needs_thread && self.shared.start_thread() {
            state.threads += 1;
            state.idle += 1;
        }
        if state.threads == 0 || state.queue.len() >= self.shared.max_queue + state.idle {
            return Err(PoolFull);
        }
        state.queue.push_back(work);
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// Threads that are in a job.
    pub fn running(&self) -> usize {
        let state = self.shared.state();
        state.threads - state.idle
    }

    /// Takes no more work, abandons what has not begun, and waits for what has, for `at_most` this long. It blocks the
    /// calling thread.
    ///
    /// # Errors
    /// [`StillRunning`] when a job took longer; its thread is left to itself and ends with the process.
    pub fn shutdown(&self, at_most: Duration) -> Result<(), StillRunning> {
        let until = Instant::now() + at_most;
        let mut state = self.shared.state();
        state.closed = true;
        let abandoned = std::mem::take(&mut state.queue);
        drop(state);
        drop(abandoned);
        self.shared.work.notify_all();
        let mut state = self.shared.state();
        while state.threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StillRunning { threads: state.threads });
            }
            let waited = self.shared.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for BlockingPool {
    fn drop(&mut self) {
        if let Err(error) = self.shutdown(DROP_TIME) {
            tracing::warn!(threads = error.threads, "blocking threads are left in their jobs");
        }
    }
}

impl Shared {
    /// No job runs under the lock, so nothing half done can be behind a poisoned one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_thread(self: &Arc<Self>) -> bool {
        let shared = Arc::clone(self);
        thread::Builder::new().name("blocking".to_owned()).spawn(move || shared.serve()).is_ok()
    }

    fn serve(&self) {
        // Where it fails, the thread is merely in the way of a core.
        let _ = self.cpus.map(|cpus| cpus.apply());
        while let Some(work) = self.next() {
            if let Err(message) = panics::catch(work) {
                tracing::error!(message, "a blocking job panicked");
            }
            self.state().idle += 1;
        }
        self.ended.notify_all();
    }

    /// The next piece of work, `None` when the thread is to end and no longer counts.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        let mut tired = false;
        loop {
            if let Some(work) = state.queue.pop_front() {
                state.idle -= 1;
                return Some(work);
            }
            if state.closed || tired {
                state.idle -= 1;
                state.threads -= 1;
                return None;
            }
            let waited = self.work.wait_timeout(state, IDLE_TIME).unwrap_or_else(PoisonError::into_inner);
            (state, tired) = (waited.0, waited.1.timed_out());
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let (threads, queued) = (state.threads, state.queue.len());
        write!(f, "{threads} of {} threads, {queued} of {} queued", self.max_threads, self.max_queue)
    }
}
