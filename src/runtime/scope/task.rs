//! A task of a scope: polled so that its panic stays inside, and counted until it is gone.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};

use super::ScopeClosed;
use super::context::Context;
use super::state::{Failure, State};
use crate::runtime::{panics, queues};

/// Any error of a task.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What a task may return: nothing, or a `Result<(), _>` whose error fails its scope.
pub trait TaskOutcome {
    /// The outcome as a result.
    ///
    /// # Errors
    /// The task's own error.
    fn into_result(self) -> Result<(), BoxError>;
}

impl TaskOutcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> TaskOutcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// Starts a task of `scope`.
pub(super) fn spawn<F>(scope: &Rc<State>, name: &'static str, future: F) -> Result<(), ScopeClosed>
where
    F: Future + 'static,
    F::Output: TaskOutcome,
{
    start(scope, supervise(scope, name, future)?);
    Ok(())
}

/// Polls a task of `scope` here, and makes it one of its own only if that does not bring it to its end.
pub(super) fn poll_or_spawn<F>(scope: &Rc<State>, name: &'static str, future: F) -> Result<(), ScopeClosed>
where
    F: Future + 'static,
    F::Output: TaskOutcome,
{
    let mut task = supervise(scope, name, future)?;
    // Nobody need be woken: what is still pending is polled again by its own task.
    if Pin::new(&mut task).poll(&mut TaskContext::from_waker(Waker::noop())).is_pending() {
        start(scope, task);
    }
    Ok(())
}

fn supervise<F>(scope: &Rc<State>, name: &'static str, future: F) -> Result<Supervised<F>, ScopeClosed>
where
    F: Future,
{
    let key = scope.join()?;
    let context = Context { scope: Rc::clone(scope), task: Some(key) };
    let membership = Membership { context, key, name };
    Ok(Supervised { future: Some(Box::pin(future)), membership })
}

fn start<F>(scope: &Rc<State>, task: Supervised<F>)
where
    F: Future<Output: TaskOutcome> + 'static,
{
    let key = task.membership.key;
    // The task only runs later, so the scope owns its handle before the task can end.
    scope.own(key, queues::spawn_into(scope.options().queue, task));
}

/// The future that the executor polls. It never panics, whatever the task does.
struct Supervised<F: Future> {
    future: Option<Pin<Box<F>>>,
    /// Dropped after the future, so that a task that is gone has given up all it held.
    membership: Membership,
}

impl<F: Future> Supervised<F> {
    /// Drops what the task holds; a panicking destructor counts as a panic of the task.
    fn release(&mut self) {
        let _inside = self.membership.context.enter();
        if let Err(message) = panics::catch(|| drop(self.future.take())) {
            self.membership.fail_by_panic(message);
        }
    }
}

impl<F: Future<Output: TaskOutcome>> Future for Supervised<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        let inside = this.membership.context.enter();
        let polled = panics::catch(|| future.as_mut().poll(cx).map(TaskOutcome::into_result));
        drop(inside);
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => {}
            Ok(Poll::Ready(Err(error))) => this.membership.fail(error),
            Err(message) => this.membership.fail_by_panic(message),
        }
        this.release();
        this.membership.detach();
        Poll::Ready(())
    }
}

impl<F: Future> Drop for Supervised<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.release();
        }
    }
}

/// A task's place in its scope, which it leaves by being dropped.
struct Membership {
    context: Context,
    key: usize,
    name: &'static str,
}

impl Membership {
    fn fail(&self, error: BoxError) {
        self.context.scope.fail(Failure::Task { task: self.name, error });
    }

    fn fail_by_panic(&self, message: String) {
        self.context.scope.fail(Failure::Panicked { task: self.name, message });
    }

    /// Lets go of the task's own handle, which would otherwise cancel it. While the task is being polled, and then
    /// only: the reactor keeps the handle's mark in a state word that it writes back when it drops a future.
    fn detach(&self) {
        if let Some(task) = self.context.scope.disown(self.key) {
            drop(task.detach());
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.context.scope.leave(self.key);
    }
}
