//! The life of a scope: poll the body, watch the deadline, and after a cancellation the grace.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use super::context::Context;
use super::state::{Failure, State};
use super::{Scope, ScopeError, ScopeOptions};
use crate::runtime::panics;
use crate::runtime::timer::Timer;

pub(super) async fn run<T, E, F, Fut>(
    parent: Option<Context>,
    options: ScopeOptions,
    body: F,
) -> Result<T, ScopeError<E>>
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let state = State::open(options, parent);
    // Declared before the body, so that a dropped `run` drops the body first and then abandons the tasks.
    let _abandon = AbandonOnDrop(&state);
    let context = Context { scope: Rc::clone(&state), task: None };
    let mut supervisor = Supervisor { context, outcome: None, deadline: None, grace: None };
    let started = supervisor.within(|| body(Scope { state: Rc::clone(&state) }));
    let mut body = pin!(started);
    poll_fn(|cx| supervisor.poll(cx, body.as_mut())).await;
    state.close();
    supervisor.result()
}

struct AbandonOnDrop<'a>(&'a Rc<State>);

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

struct Supervisor<T, E> {
    context: Context,
    /// What the body returned.
    outcome: Option<Result<T, E>>,
    deadline: Option<Alarm>,
    /// Runs from the cancellation on.
    grace: Option<Alarm>,
}

impl<T, E> Supervisor<T, E> {
    fn state(&self) -> &State {
        &self.context.scope
    }

    /// Runs a piece of the body, in its place, and turns its panic into the scope's failure.
    fn within<R>(&self, action: impl FnOnce() -> R) -> Option<R> {
        let _inside = self.context.enter();
        let task = self.state().name();
        panics::catch(action).map_err(|message| self.state().fail(Failure::Panicked { task, message })).ok()
    }

    /// Ready when the body and all tasks are gone.
    fn poll<Fut>(&mut self, cx: &mut TaskContext<'_>, mut body: Pin<&mut Option<Fut>>) -> Poll<()>
    where
        Fut: Future<Output = Result<T, E>>,
    {
        self.state().set_supervisor(cx.waker());
        self.poll_body(cx, body.as_mut());
        if body.is_none() && self.state().is_idle() {
            return Poll::Ready(());
        }
        if !self.state().is_cancelled() && self.poll_deadline(cx).is_ready() {
            self.state().fail(Failure::Deadline);
        }
        if self.state().is_cancelled() && self.poll_grace(cx).is_ready() {
            if body.is_some() && !self.state().is_body_shielded() {
                self.within(|| body.set(None));
            }
            self.state().drop_tasks();
            if body.is_none() && self.state().is_idle() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn poll_body<Fut>(&mut self, cx: &mut TaskContext<'_>, mut body: Pin<&mut Option<Fut>>)
    where
        Fut: Future<Output = Result<T, E>>,
    {
        let Some(running) = body.as_mut().as_pin_mut() else { return };
        let polled = self.within(|| running.poll(cx));
        let outcome = match polled {
            Some(Poll::Pending) => return,
            Some(Poll::Ready(outcome)) => Some(outcome),
            None => None,
        };
        if matches!(outcome, Some(Err(_))) {
            self.state().fail(Failure::Body);
        }
        self.outcome = outcome;
        self.within(|| body.set(None));
    }

    fn poll_deadline(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(at) = self.state().deadline() else { return Poll::Pending };
        self.deadline.get_or_insert_with(|| Alarm::at(at)).poll(cx)
    }

    fn poll_grace(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.deadline = None;
        let grace = self.state().options().grace;
        self.grace.get_or_insert_with(|| Alarm::at(Instant::now() + grace)).poll(cx)
    }

    fn result(self) -> Result<T, ScopeError<E>> {
        match (self.state().take_failure(), self.outcome) {
            (None, Some(Ok(value))) => Ok(value),
            (None | Some(Failure::Body), Some(Err(error))) => Err(ScopeError::Failed(error)),
            (Some(Failure::Task { task, error }), _) => Err(ScopeError::TaskFailed { task, error }),
            (Some(Failure::Panicked { task, message }), _) => Err(ScopeError::Panicked { task, message }),
            (Some(Failure::Deadline), _) => Err(ScopeError::DeadlineExceeded),
            (None | Some(Failure::Body), _) => Err(ScopeError::Cancelled),
        }
    }
}

/// A timer that is touched again only when it fires or its waiter changes: the body may be polled often.
struct Alarm {
    at: Instant,
    timer: Timer,
    waiter: Option<Waker>,
}

impl Alarm {
    fn at(at: Instant) -> Self {
        Self { at, timer: Timer::at(at), waiter: None }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        if self.waiter.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waiter = Some(cx.waker().clone());
        Pin::new(&mut self.timer).poll(cx)
    }
}
