//! The threads of the tools that were registered as blocking, as the dispatcher wants them.

use std::sync::Arc;

use crate::limits::Limits;
use crate::mcp::{Offload, OffloadFull};
use crate::runtime::BlockingPool;

/// One bounded pool a server; its threads start with the first call.
#[derive(Debug)]
pub(crate) struct Threads(BlockingPool);

pub(super) fn threads(limits: &Limits) -> Arc<Threads> {
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Arc::new(Threads(BlockingPool::new(size(limits.max_blocking_threads), size(limits.max_blocking_queue))))
}

impl Threads {
    /// Calls that have a thread.
    pub(crate) fn running(&self) -> u64 {
        self.0.running() as u64
    }

    /// Calls that wait for one.
    pub(crate) fn waiting(&self) -> u64 {
        self.0.queued() as u64
    }
}

impl Offload for Threads {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull> {
        self.0.execute(job).map_err(|_| OffloadFull)
    }
}
