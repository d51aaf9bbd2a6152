//! Structured concurrency: a scope owns its tasks and ends only when all of them have ended.
//!
//! [`Scope::run`] is the only way to make a scope, and a scope is the only way to start a task, so no task outlives the
//! code that started it. A scope that is opened inside another one's body or task is its child: it is cancelled with
//! it and inherits its deadline, unless it is a shield.
//!
//! Cancelling is a request first: tasks see it at [`Scope::cancelled`]. What is still there after the grace is dropped.
//! The first failure, a returned error or a panic, cancels the rest and is what `run` returns.

mod context;
mod orphans;
mod run;
mod slab;
mod state;
mod task;
mod waiters;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use super::queues::Queue;
use context::Context;
pub(super) use orphans::orphans_gone;
use state::State;
pub use task::{BoxError, TaskOutcome};

/// What a scope is bound to.
#[derive(Debug, Clone)]
pub struct ScopeOptions {
    /// The queue that its tasks run in. The body runs where it is awaited.
    pub queue: Queue,
    /// When it is cancelled. A child's deadline is never later than its parent's.
    pub deadline: Option<Instant>,
    /// How long after the cancellation its tasks may go on before they are dropped.
    pub grace: Duration,
    /// Whether it is spared its parent's cancellation and deadline. A shield without a deadline gets one of 5 s, and the
    /// parent waits for it.
    pub shield: bool,
    /// What it is called in errors and logs.
    pub name: &'static str,
}

impl Default for ScopeOptions {
    fn default() -> Self {
        let grace = Duration::from_secs(1);
        Self { queue: Queue::Serve, deadline: None, grace, shield: false, name: "scope" }
    }
}

impl ScopeOptions {
    /// The default options (serving queue, no deadline, a grace of one second) under a name.
    pub fn named(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }
}

/// Why a scope did not end with its body's value.
#[derive(Debug)]
pub enum ScopeError<E> {
    /// The body returned this error.
    Failed(E),
    /// A task returned an error before the body did.
    TaskFailed {
        /// The task's name.
        task: &'static str,
        /// What it returned.
        error: BoxError,
    },
    /// A task, or the body under the scope's name, panicked.
    Panicked {
        /// The task's name.
        task: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The deadline passed before all had ended.
    DeadlineExceeded,
    /// The scope was cancelled and its body dropped after the grace.
    Cancelled,
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TaskFailed { task, error } => write!(f, "task {task} failed: {error}"),
            Self::Panicked { task, message } => write!(f, "task {task} panicked: {message}"),
            Self::DeadlineExceeded => f.write_str("the deadline passed before all work had ended"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl<E: Error + 'static> Error for ScopeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TaskFailed { error, .. } => Some(&**error),
            _ => None,
        }
    }
}

/// The scope takes no more tasks: it was cancelled or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeClosed {
    /// The scope's name.
    pub scope: &'static str,
}

impl fmt::Display for ScopeClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scope {} takes no more tasks: it was cancelled or has ended", self.scope)
    }
}

impl Error for ScopeClosed {}

/// A handle to a running scope of this core. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Scope {
    state: Rc<State>,
}

impl Scope {
    /// Runs `body` with a new scope and returns when the body and all tasks of the scope have ended.
    ///
    /// Inside another scope's body or task, the new one is its child. Dropping the future drops the body and cancels
    /// the tasks; the enclosing scope, or the executor, still waits until they are gone.
    ///
    /// # Errors
    /// The first failure, see [`ScopeError`]. After a cancellation without failure, a body that came to its end keeps
    /// its value, and errors that tasks return are taken for its consequence.
    pub async fn run<T, E, F, Fut>(options: ScopeOptions, body: F) -> Result<T, ScopeError<E>>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        run::run(Context::current(), options, body).await
    }

    /// As [`Scope::run`], with this scope as the parent wherever the call is made.
    ///
    /// # Errors
    /// As [`Scope::run`].
    pub async fn child<T, E, F, Fut>(&self, options: ScopeOptions, body: F) -> Result<T, ScopeError<E>>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let parent = Context::within(&self.state);
        run::run(Some(parent), options, body).await
    }

    /// Starts a task in the scope's queue. It returns nothing or a `Result<(), _>`; an error cancels the scope.
    ///
    /// # Errors
    /// [`ScopeClosed`] once the scope was cancelled or has ended; the task is dropped.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> Result<(), ScopeClosed>
    where
        F: Future + 'static,
        F::Output: TaskOutcome,
    {
        task::spawn(&self.state, name, task)
    }

    /// As [`Scope::spawn`], but the task is polled once before this returns, in the caller's turn: one that comes to its
    /// end with what is there costs no place in a queue. The caller holds no borrow that the task may want.
    ///
    /// # Errors
    /// As [`Scope::spawn`].
    pub fn poll_or_spawn<F>(&self, name: &'static str, task: F) -> Result<(), ScopeClosed>
    where
        F: Future + 'static,
        F::Output: TaskOutcome,
    {
        task::poll_or_spawn(&self.state, name, task)
    }

    /// Cancels the scope and its children. Repeating it does nothing.
    pub fn cancel(&self) {
        self.state.cancel();
    }

    /// Whether the scope was cancelled, by whatever, or has ended.
    pub fn is_cancelled(&self) -> bool {
        self.state.is_cancelled()
    }

    /// Resolves once the scope is cancelled or has ended. The future may be kept and polled again and again; any number of tasks may
    /// wait.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { state: Rc::clone(&self.state), key: None }
    }

    /// When the scope is cancelled at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// How many tasks it has now, without those of its children.
    pub fn tasks(&self) -> usize {
        self.state.tasks()
    }

    /// Resolves as soon as the scope has no task. To be awaited by its body: a task would wait for itself.
    pub fn wait_idle(&self) -> WaitIdle {
        WaitIdle { state: Rc::clone(&self.state), key: None }
    }
}

/// The future of [`Scope::cancelled`].
#[derive(Debug)]
pub struct Cancelled {
    state: Rc<State>,
    key: Option<usize>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { state, key } = self.get_mut();
        if state.is_cancelled() {
            return Poll::Ready(());
        }
        state.cancel_waiters().register(key, cx.waker());
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.state.cancel_waiters().remove(self.key);
    }
}

/// The future of [`Scope::wait_idle`].
#[derive(Debug)]
pub struct WaitIdle {
    state: Rc<State>,
    key: Option<usize>,
}

impl Future for WaitIdle {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { state, key } = self.get_mut();
        if state.is_idle() {
            return Poll::Ready(());
        }
        state.idle_waiters().register(key, cx.waker());
        Poll::Pending
    }
}

impl Drop for WaitIdle {
    fn drop(&mut self) {
        self.state.idle_waiters().remove(self.key);
    }
}
