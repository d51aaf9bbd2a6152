//! Which tasks changed: told to whoever listens, and nearly free when nobody does.

use std::sync::OnceLock;

use crate::queue::TaskId;

type Hear = Box<dyn Fn(TaskId) + Send + Sync>;

/// Who is told of each task that was changed, after the change is durable.
#[derive(Default)]
pub struct Changes(OnceLock<Hear>);

impl Changes {
    /// Calls `hear` with each task that changes from now on, on the core that commits the change. It must not block. There is
    /// one listener; false where there is one already.
    pub fn tell(&self, hear: impl Fn(TaskId) + Send + Sync + 'static) -> bool {
        self.0.set(Box::new(hear)).is_ok()
    }

    /// Tells of these tasks; without a listener they are not even looked for.
    pub(super) fn say(&self, tasks: impl Iterator<Item = TaskId>) {
        if let Some(hear) = self.0.get() {
            tasks.for_each(hear);
        }
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("is_heard", &self.0.get().is_some()).finish()
    }
}
