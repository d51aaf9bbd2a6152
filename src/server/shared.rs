//! What every core of one server shares. Nothing here is touched under a lock on a request's path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use super::blocking::Threads;
use super::budget::Budget;
use super::inflight::InFlight;
use crate::config::ServerConfig;
use crate::http::AccessPolicy;
use crate::limits::Limits;
use crate::mcp::Dispatcher;
use crate::observe::Metrics;
use crate::runtime::{StopFlag, Watchdog};

/// Where the server stands, for the probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Cores warm up and bind.
    Starting,
    /// Requests are welcome.
    Ready,
    /// The server ends; what is here is still answered.
    Draining,
}

/// One server's shared state.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) limits: Limits,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: AccessPolicy,
    pub(crate) budget: Arc<Budget>,
    pub(crate) inflight: InFlight,
    pub(crate) stop: StopFlag,
    /// None without sockets.
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) threads: Arc<Threads>,
    pub(crate) started_at: Instant,
    /// The addresses that clients reach, ports resolved.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The address of the probes, where they have one of their own.
    pub(crate) probe_address: Option<SocketAddr>,
    pub(crate) connections: Connections,
    pub(crate) stage: StageCell,
}

/// The stage, readable from every core.
#[derive(Debug, Default)]
pub(crate) struct StageCell(AtomicU8);

impl StageCell {
    pub(crate) fn get(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Draining,
        }
    }

    /// Moves on to a later stage; an earlier one is ignored.
    pub(crate) fn advance(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::AcqRel);
    }
}

/// The open client connections of the process; touched when one opens or closes.
#[derive(Debug)]
pub(crate) struct Connections {
    max: u64,
    open: Arc<AtomicU64>,
}

impl Connections {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, open: Arc::default() }
    }

    /// A place for one more connection, or none.
    pub(crate) fn enter(&self) -> Option<Place> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        // A place that is not handed out gives its count back when it is dropped here.
        let place = Place { open: self.open.clone() };
        (before < self.max).then_some(place)
    }
}

/// One connection's place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<AtomicU64>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_move_on() {
        let stage = StageCell::default();
        assert_eq!(stage.get(), Stage::Starting);
        stage.advance(Stage::Draining);
        stage.advance(Stage::Ready);
        assert_eq!(stage.get(), Stage::Draining);
    }

    #[test]
    fn places_are_bounded_and_freed() {
        let connections = Connections::new(2);
        let first = connections.enter().unwrap();
        let second = connections.enter().unwrap();
        assert!(connections.enter().is_none());
        drop(first);
        let third = connections.enter().unwrap();
        assert!(connections.enter().is_none());
        drop((second, third));
        assert_eq!(connections.open.load(Ordering::Relaxed), 0);
    }
}
