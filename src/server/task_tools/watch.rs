//! Tells clients that subscribed to a task, or to the counts of all, that it has changed.

use std::sync::atomic::Ordering;

use crate::mcp::Dispatcher;
use crate::store::Store;
use crate::tools::task_queue::{TASKS_URI, task_uri};

/// From now on changes of tasks are told. Where nobody subscribed to anything, a change costs one load for it.
pub(crate) fn tell_changes(store: &Store, dispatcher: &Dispatcher) {
    let (subscribers, handle) = (dispatcher.resource_subscribers(), dispatcher.registry_handle());
    let listens = store.changes().tell(move |task| {
        if subscribers.load(Ordering::Acquire) > 0 {
            handle.resource_updated(task_uri(task));
            handle.resource_updated(TASKS_URI);
        }
    });
    debug_assert!(listens, "invariant: a server has a store of its own, and listens to it once");
}
