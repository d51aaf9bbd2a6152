//! What every core of one server shares. Nothing here is touched under a lock on a request's path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::blocking::Threads;
use super::budget::Budget;
use super::p2p::P2p;
use super::service::Service;
use super::task_tools::ServerId;
use crate::config::ServerConfig;
use crate::http::AccessPolicy;
use crate::limits::Bounded;
use crate::limits::Limits;
use crate::mcp::Dispatcher;
use crate::observe::{Metrics, Phase};
use crate::runtime::{StopFlag, Watchdog};
use crate::store::Store;

/// One server's shared state.
pub(crate) struct Shared {
    pub(crate) id: ServerId,
    pub(crate) config: ServerConfig,
    pub(crate) limits: Limits,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: AccessPolicy,
    pub(crate) budget: Arc<Budget>,
    /// Handlers that are still running after their first poll; those that finish at once never touch it.
    pub(crate) inflight: Bounded,
    pub(crate) stop: StopFlag,
    /// None without sockets.
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) threads: Arc<Threads>,
    pub(crate) service: Service,
    pub(crate) started_at: Instant,
    /// The addresses that clients reach, ports resolved.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The address of the probes, where they have one of their own.
    pub(crate) probe_address: Option<SocketAddr>,
    /// The open client connections of the process; touched when one opens or closes.
    pub(crate) connections: Bounded,
    /// Those of the probes' own listener, so that a full server can still say that it lives.
    pub(crate) probe_connections: Bounded,
    pub(crate) life: Life,
    /// None where `p2p` is off, and without sockets.
    pub(crate) p2p: Option<P2p>,
    /// The task queue and the cache; None where there is no libp2p.
    pub(crate) store: Option<Arc<Store>>,
}

impl Shared {
    /// The longest an orderly shutdown takes.
    pub(crate) fn shutdown_time(&self) -> Duration {
        Duration::from_millis(self.config.shutdown_delay_ms + self.config.shutdown_grace_ms)
            + Duration::from_secs(2)
    }
}

/// Where the server is in its life, readable from every core.
#[derive(Debug, Default)]
pub(crate) struct Life(AtomicU8);

impl Life {
    const PHASES: [Phase; 3] = [Phase::Starting, Phase::Ready, Phase::Draining];

    pub(crate) fn phase(&self) -> Phase {
        Self::PHASES[usize::from(self.0.load(Ordering::Acquire))]
    }

    /// Moves on to a later phase; an earlier one is ignored.
    pub(crate) fn advance(&self, phase: Phase) {
        let index = match phase {
            Phase::Starting => 0,
            Phase::Ready => 1,
            Phase::Draining => 2,
        };
        self.0.fetch_max(index, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_only_moves_on() {
        let life = Life::default();
        assert_eq!(life.phase(), Phase::Starting);
        life.advance(Phase::Draining);
        life.advance(Phase::Ready);
        assert_eq!(life.phase(), Phase::Draining);
    }
}
