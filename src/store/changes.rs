//! Which tasks changed: told to whoever listens, and nearly free when nobody does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::queue::TaskId;

type Hear = Arc<dyn Fn(TaskId) + Send + Sync>;

/// Who is told of each task that was changed, after the change is durable.
#[derive(Default)]
pub struct Changes {
    listeners: AtomicUsize,
    hear: Mutex<Option<Hear>>,
}

impl Changes {
    /// Calls `hear` with each task that changes from now on, on the core that commits the change. It must not block.
    pub fn tell(&self, hear: impl Fn(TaskId) + Send + Sync + 'static) {
        *self.hear.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hear));
        self.listeners.store(1, Ordering::Release);
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self) -> bool {
        self.listeners.load(Ordering::Acquire) > 0
    }

    pub(super) fn say(&self, tasks: impl Iterator<Item = TaskId>) {
        let hear = self.hear.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hear) = hear {
            tasks.for_each(|task| hear(task));
        }
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("is_heard", &self.is_heard()).finish()
    }
}
