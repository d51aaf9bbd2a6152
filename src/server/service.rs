//! What the service manager is told of the server's life.

use std::net::SocketAddr;
use std::time::Duration;

use crate::observe::systemd::{self, Notifier};

/// Without a watchdog the waiting thread has nothing to do.
const QUIET_PERIOD: Duration = Duration::from_secs(3600);

/// The service manager, if there is one that wants to know.
#[derive(Debug)]
pub(crate) struct Service {
    notifier: Option<Notifier>,
    watchdog: Option<Duration>,
}

impl Service {
    /// Finds the service manager by the environment, where `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        let found = if wanted { Notifier::from_env() } else { Ok(None) };
        let notifier = found.unwrap_or_else(|error| {
            tracing::warn!("the service manager cannot be notified: {error}");
            None
        });
        let watchdog = notifier.as_ref().and_then(|_| systemd::watchdog_period());
        Self { notifier, watchdog }
    }

    /// How often [`Service::alive`] wants to be called.
    pub(crate) fn period(&self) -> Duration {
        self.watchdog.unwrap_or(QUIET_PERIOD)
    }

    pub(crate) fn ready(&self, addresses: &[SocketAddr]) {
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        self.tell(|notifier| notifier.ready(&format!("serving at {}", addresses.join(", "))));
    }

    /// A sign of life, unless a core is stuck: then the service manager shall see it.
    pub(crate) fn alive(&self, is_alive: impl FnOnce() -> bool) {
        if self.watchdog.is_some() && is_alive() {
            self.tell(Notifier::watchdog);
        }
    }

    pub(crate) fn stopping(&self, needs: Duration) {
        self.tell(|notifier| notifier.stopping(needs));
    }

    fn tell(&self, message: impl FnOnce(&Notifier) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.notifier.as_ref().map(message) {
            tracing::warn!("the service manager was not notified: {error}");
        }
    }
}
