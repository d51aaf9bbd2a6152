//! Who is running: the scope, and which of its tasks, whose code is being polled on this thread.

use std::cell::RefCell;
use std::rc::Rc;

use super::state::State;

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// A place in the tree of scopes: one task of a scope, or its body.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) scope: Rc<State>,
    /// The task's key, `None` for the body.
    pub(super) task: Option<usize>,
}

impl Context {
    /// Where the running code belongs.
    pub(super) fn current() -> Option<Context> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Where the running code belongs within `scope`: a child opened by one of its tasks hangs on that task, and one
    /// opened from elsewhere on the body.
    pub(super) fn within(scope: &Rc<State>) -> Context {
        match Self::current() {
            Some(current) if Rc::ptr_eq(&current.scope, scope) => current,
            _ => Context { scope: Rc::clone(scope), task: None },
        }
    }

    /// Makes this the place of the code that runs until the guard is dropped.
    pub(super) fn enter(&self) -> Inside {
        Inside { outer: CURRENT.replace(Some(self.clone())) }
    }

    /// This place, the place its scope was opened in, and so on outwards.
    pub(super) fn outwards(&self) -> impl Iterator<Item = &Context> {
        std::iter::successors(Some(self), |context| context.scope.parent())
    }
}

/// Goes back to the place before.
#[derive(Debug)]
pub(super) struct Inside {
    outer: Option<Context>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let inner = CURRENT.replace(self.outer.take());
        drop(inner);
    }
}
