//! What a scope knows: its tasks, its children, whether it is cancelled, and what went wrong first.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::context::Context;
use super::orphans;
use super::slab::Slab;
use super::task::BoxError;
use super::waiters::Waiters;
use super::{ScopeClosed, ScopeOptions};

/// The deadline of a shield that was given none: nothing waits for ever.
const SHIELD_TIME: Duration = Duration::from_secs(5);

/// The first thing that went wrong in a scope.
#[derive(Debug)]
pub(super) enum Failure {
    /// The body returned an error, which the supervisor holds.
    Body,
    Task {
        task: &'static str,
        error: BoxError,
    },
    Panicked {
        task: &'static str,
        message: String,
    },
    Deadline,
}

/// One task of a scope.
#[derive(Debug)]
struct Member {
    /// `None` once the task has ended or was dropped.
    task: Option<glommio::Task<()>>,
    /// Shields that are open inside it; it is not dropped before they have closed.
    shields: usize,
}

pub(super) struct State {
    options: ScopeOptions,
    parent: Option<Context>,
    /// Its key among the parent's children.
    child_key: Cell<Option<usize>>,
    children: RefCell<Slab<Weak<State>>>,
    members: RefCell<Slab<Member>>,
    /// Shields that are open inside the body.
    body_shields: Cell<usize>,
    /// Child scopes whose `run` was dropped and whose tasks are not gone yet.
    adopted: Cell<usize>,
    /// Its own `run` was dropped, and it has yet to tell its parent that its tasks are gone.
    abandoned: Cell<bool>,
    cancelled: Cell<bool>,
    closed: Cell<bool>,
    failure: RefCell<Option<Failure>>,
    cancel_waiters: Waiters,
    idle_waiters: Waiters,
    /// Whoever polls `run`.
    supervisor: Cell<Option<Waker>>,
}

impl State {
    /// Opens a scope inside `parent`.
    pub(super) fn open(mut options: ScopeOptions, parent: Option<Context>) -> Rc<State> {
        let mut cancelled = false;
        if options.shield {
            options.deadline = options.deadline.or_else(|| Some(Instant::now() + SHIELD_TIME));
        } else if let Some(parent) = &parent {
            let deadlines = [options.deadline, parent.scope.deadline()];
            options.deadline = deadlines.into_iter().flatten().min();
            cancelled = parent.scope.is_cancelled();
        }
        let state = Rc::new(State {
            options,
            parent,
            child_key: Cell::default(),
            children: RefCell::default(),
            members: RefCell::default(),
            body_shields: Cell::default(),
            adopted: Cell::default(),
            abandoned: Cell::default(),
            cancelled: Cell::new(cancelled),
            closed: Cell::default(),
            failure: RefCell::default(),
            cancel_waiters: Waiters::default(),
            idle_waiters: Waiters::default(),
            supervisor: Cell::default(),
        });
        if let Some(parent) = &state.parent {
            let key = parent.scope.children.borrow_mut().insert(Rc::downgrade(&state));
            state.child_key.set(Some(key));
        }
        state.count_shield(|shields| shields + 1);
        state
    }

    pub(super) fn name(&self) -> &'static str {
        self.options.name
    }

    pub(super) fn options(&self) -> &ScopeOptions {
        &self.options
    }

    pub(super) fn parent(&self) -> Option<&Context> {
        self.parent.as_ref()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.options.deadline
    }

    pub(super) fn tasks(&self) -> usize {
        self.members.borrow().len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.adopted.get() == 0 && self.members.borrow().is_empty()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    pub(super) fn cancel_waiters(&self) -> &Waiters {
        &self.cancel_waiters
    }

    pub(super) fn idle_waiters(&self) -> &Waiters {
        &self.idle_waiters
    }

    /// Makes room for one more task.
    pub(super) fn join(&self) -> Result<usize, ScopeClosed> {
        if self.cancelled.get() || self.closed.get() {
            return Err(ScopeClosed { scope: self.name() });
        }
        Ok(self.members.borrow_mut().insert(Member { task: None, shields: 0 }))
    }

    /// Keeps the handle of the task that was started for `key`.
    pub(super) fn own(&self, key: usize, task: glommio::Task<()>) {
        if let Some(member) = self.members.borrow_mut().find(key) {
            member.task = Some(task);
        }
    }

    /// Hands out a task's handle, so that its end does not cancel it.
    pub(super) fn disown(&self, key: usize) -> Option<glommio::Task<()>> {
        self.members.borrow_mut().find(key).and_then(|member| member.task.take())
    }

    /// A task is gone.
    pub(super) fn leave(&self, key: usize) {
        let member = self.members.borrow_mut().remove(key);
        drop(member);
        self.check_idle();
    }

    fn check_idle(&self) {
        if !self.is_idle() {
            return;
        }
        self.idle_waiters.wake_all();
        self.wake_supervisor();
        if self.abandoned.replace(false) {
            match &self.parent {
                Some(parent) => {
                    parent.scope.adopted.set(parent.scope.adopted.get() - 1);
                    parent.scope.check_idle();
                }
                None => orphans::remove(),
            }
        }
    }

    /// Keeps the first failure, and cancels.
    pub(super) fn fail(&self, failure: Failure) {
        if let Failure::Panicked { task, message } = &failure {
            tracing::error!(scope = self.name(), task, message, "a task panicked");
        }
        // An error that a task returns because it was cancelled is no failure of its own.
        let consequence = self.cancelled.get() && matches!(failure, Failure::Task { .. });
        if !consequence {
            self.failure.borrow_mut().get_or_insert(failure);
        }
        self.cancel();
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.borrow_mut().take()
    }

    pub(super) fn cancel(&self) {
        if self.cancelled.replace(true) {
            return;
        }
        self.cancel_waiters.wake_all();
        self.wake_supervisor();
        let children: Vec<_> =
            self.children.borrow_mut().iter_mut().filter_map(|child| child.upgrade()).collect();
        for child in children.iter().filter(|child| !child.options.shield) {
            child.cancel();
        }
    }

    /// Drops the tasks inside which no shield is open. They are gone with the executor's next turn.
    pub(super) fn drop_tasks(&self) {
        let mut members = self.members.borrow_mut();
        let unshielded = members.iter_mut().filter(|member| member.shields == 0);
        let tasks: Vec<_> = unshielded.filter_map(|member| member.task.take()).collect();
        drop(members);
        drop(tasks);
    }

    pub(super) fn is_body_shielded(&self) -> bool {
        self.body_shields.get() > 0
    }

    /// The scope has ended: all its tasks are gone, and it takes no more.
    pub(super) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.cancel();
        self.count_shield(|shields| shields - 1);
        if let (Some(parent), Some(key)) = (&self.parent, self.child_key.take()) {
            parent.scope.children.borrow_mut().remove(key);
        }
    }

    /// The future of `run` was dropped: the tasks are dropped too, and the parent waits until they are gone.
    pub(super) fn abandon(&self) {
        if self.closed.get() {
            return;
        }
        self.close();
        let tasks: Vec<_> =
            self.members.borrow_mut().iter_mut().filter_map(|member| member.task.take()).collect();
        if !self.is_idle() {
            self.abandoned.set(true);
            match &self.parent {
                Some(parent) => parent.scope.adopted.set(parent.scope.adopted.get() + 1),
                None => orphans::add(),
            }
        }
        drop(tasks);
    }

    pub(super) fn set_supervisor(&self, waker: &Waker) {
        let known = self.supervisor.take().filter(|known| known.will_wake(waker));
        self.supervisor.set(Some(known.unwrap_or_else(|| waker.clone())));
    }

    fn wake_supervisor(&self) {
        if let Some(waker) = self.supervisor.take() {
            waker.wake();
        }
    }

    /// Tells everything around a shield that one more, or one fewer, is open inside it.
    fn count_shield(&self, count: impl Fn(usize) -> usize) {
        let Some(parent) = self.parent.as_ref().filter(|_| self.options.shield) else { return };
        for Context { scope, task } in parent.outwards() {
            match task {
                None => scope.body_shields.set(count(scope.body_shields.get())),
                Some(key) => {
                    if let Some(member) = scope.members.borrow_mut().find(*key) {
                        member.shields = count(member.shields);
                    }
                }
            }
            scope.wake_supervisor();
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("name", &self.name())
            .field("tasks", &self.tasks())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
