//! What the tool `server_status` asks of the running server.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::mcp::Dispatcher;
use crate::tools::StatusProvider;

/// The tool is registered before the dispatcher that counts the sessions exists, so that comes later.
#[derive(Debug)]
pub(super) struct Status {
    started_at: Instant,
    dispatcher: OnceLock<Weak<Dispatcher>>,
}

impl Status {
    pub(super) fn new(started_at: Instant) -> Self {
        Self { started_at, dispatcher: OnceLock::new() }
    }

    pub(super) fn attach(&self, dispatcher: &Arc<Dispatcher>) {
        self.dispatcher.get_or_init(|| Arc::downgrade(dispatcher));
    }
}

impl StatusProvider for Status {
    fn uptime(&self) -> Duration {
        self.started_at.elapsed()
    }

    fn sessions(&self) -> usize {
        self.dispatcher.get().and_then(Weak::upgrade).map_or(0, |dispatcher| dispatcher.sessions())
    }
}
