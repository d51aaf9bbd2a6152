//! The threads of the tools that were registered as blocking, as the dispatcher wants them.

use std::sync::Arc;

use crate::limits::Limits;
use crate::mcp::{Offload, OffloadFull};

/// One bounded pool a server; its threads start with the first call.
#[derive(Debug)]
pub(crate) struct Threads();

pub(super) fn threads(_limits: &Limits) -> Arc<Threads> {
    Arc::new(Threads())
}
impl Threads {
    pub(crate) fn running(&self) -> u64 {
        0
    }
    pub(crate) fn waiting(&self) -> u64 {
        0
    }
}

impl Offload for Threads {
    fn submit(&self, _job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull> {
        Err(OffloadFull)
    }
}
