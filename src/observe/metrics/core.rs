//! One core's block of counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::{Histogram, Measured, bump};
use super::p2p::P2pMetrics;
use crate::limits::Limit;

/// The plain counters of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Counter {
    ConnectionsAccepted,
    ConnectionsOpen,
    RequestsStarted,
    RequestsInFlight,
    BytesReceived,
    BytesSent,
    Panics,
}

const COUNTERS: usize = Counter::Panics as usize + 1;

/// Classes of status codes: 1xx to 5xx.
pub(super) const STATUS_CLASSES: usize = 5;

/// What one core counts. Only that core's thread may call the methods that count.
#[derive(Debug)]
pub struct CoreMetrics {
    counters: [AtomicU64; COUNTERS],
    responses: [AtomicU64; STATUS_CLASSES],
    hits: [AtomicU64; Limit::COUNT],
    methods: Box<[Histogram]>,
    tools: Box<[Histogram]>,
    /// `errors` counters for each method, then for each tool.
    errors: Box<[AtomicU64]>,
    error_kinds: usize,
    p2p: P2pMetrics,
}

impl CoreMetrics {
    /// Each count includes the entry for everything else, which is the last.
    pub(super) fn new(methods: usize, tools: usize, error_kinds: usize, p2p: P2pMetrics) -> Self {
        let histograms = |count| std::iter::repeat_with(Histogram::new).take(count).collect();
        Self {
            counters: [const { AtomicU64::new(0) }; COUNTERS],
            responses: [const { AtomicU64::new(0) }; STATUS_CLASSES],
            hits: [const { AtomicU64::new(0) }; Limit::COUNT],
            methods: histograms(methods),
            tools: histograms(tools),
            errors: std::iter::repeat_with(|| AtomicU64::new(0))
                .take((methods + tools) * error_kinds)
                .collect(),
            error_kinds,
            p2p,
        }
    }

    fn count(&self, counter: Counter, by: u64) {
        bump(&self.counters[counter as usize], by);
    }

    /// Takes one off a gauge. A caller that ends more than it started would wrap it, so it stops at 0.
    fn uncount(&self, gauge: Counter) {
        let gauge = &self.counters[gauge as usize];
        gauge.store(gauge.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// A connection was accepted.
    pub fn connection_accepted(&self) {
        self.count(Counter::ConnectionsAccepted, 1);
        self.count(Counter::ConnectionsOpen, 1);
    }

    /// A connection that was accepted on this core has closed.
    pub fn connection_closed(&self) {
        self.uncount(Counter::ConnectionsOpen);
    }

    /// A request was read and is being answered.
    pub fn request_started(&self) {
        self.count(Counter::RequestsStarted, 1);
        self.count(Counter::RequestsInFlight, 1);
    }

    /// A request that started on this core has its answer, or lost its client.
    pub fn request_ended(&self) {
        self.uncount(Counter::RequestsInFlight);
    }

    /// A response head with this status was written.
    pub fn response(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, STATUS_CLASSES);
        bump(&self.responses[class - 1], 1);
    }

    /// Bytes were read from clients.
    pub fn bytes_received(&self, bytes: usize) {
        self.count(Counter::BytesReceived, bytes as u64);
    }

    /// Bytes were written to clients.
    pub fn bytes_sent(&self, bytes: usize) {
        self.count(Counter::BytesSent, bytes as u64);
    }

    /// What the core's libp2p node counts.
    pub fn p2p(&self) -> &P2pMetrics {
        &self.p2p
    }

    /// An operation between libp2p peers ended, see [`P2pMetrics::operation`].
    pub fn p2p_operation(&self, operation: usize, error: bool, duration: Duration) {
        self.p2p.operation(operation, error, duration);
    }

    /// A limit was hit and something was refused, cut or closed for it.
    pub fn hit(&self, limit: Limit) {
        bump(&self.hits[limit as usize], 1);
    }

    /// A panic was caught.
    pub fn panicked(&self) {
        self.count(Counter::Panics, 1);
    }

    /// An MCP operation ended: the indexes of its method, of the tool it called and of the kind of error it ended
    /// with, and how long it took. An index without a name counts as `_other`.
    pub fn operation(&self, method: usize, tool: Option<usize>, error: Option<usize>, duration: Duration) {
        let method = method.min(self.methods.len() - 1);
        let measured = Measured::new(duration);
        self.methods[method].record(measured);
        let tool = tool.map(|tool| tool.min(self.tools.len() - 1));
        if let Some(tool) = tool {
            self.tools[tool].record(measured);
        }
        if let Some(error) = error {
            bump(self.method_error(method, error), 1);
            if let Some(tool) = tool {
                bump(self.tool_error(tool, error), 1);
            }
        }
    }

    fn method_error(&self, method: usize, error: usize) -> &AtomicU64 {
        &self.errors[method * self.error_kinds + error.min(self.error_kinds - 1)]
    }

    fn tool_error(&self, tool: usize, error: usize) -> &AtomicU64 {
        self.method_error(self.methods.len() + tool, error)
    }

    /// Connections open on this core now.
    pub fn connections_open(&self) -> u64 {
        self.counter(Counter::ConnectionsOpen)
    }

    /// Requests being answered on this core now.
    pub fn requests_in_flight(&self) -> u64 {
        self.counter(Counter::RequestsInFlight)
    }

    pub(super) fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Relaxed)
    }

    pub(super) fn responses(&self, class: usize) -> u64 {
        self.responses[class].load(Relaxed)
    }

    pub(super) fn hits(&self, limit: Limit) -> u64 {
        self.hits[limit as usize].load(Relaxed)
    }

    pub(super) fn method(&self, method: usize) -> &Histogram {
        &self.methods[method]
    }

    pub(super) fn tool(&self, tool: usize) -> &Histogram {
        &self.tools[tool]
    }

    pub(super) fn method_errors(&self, method: usize, error: usize) -> u64 {
        self.method_error(method, error).load(Relaxed)
    }

    pub(super) fn tool_errors(&self, tool: usize, error: usize) -> u64 {
        self.tool_error(tool, error).load(Relaxed)
    }
}
