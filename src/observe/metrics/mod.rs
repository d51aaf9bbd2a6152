//! Counters and histograms, one block a core, added up when somebody asks.
//!
//! Each block has one writer, its core's thread, so counting is a load and a store on a line that no other core
//! writes. A second writer would lose counts, never more.

mod core;
mod exposition;
mod histogram;
mod p2p;
mod render;
mod render_p2p;
mod tasks;

use std::sync::Arc;

use crossbeam_utils::CachePadded;

pub use self::core::CoreMetrics;
pub use self::p2p::{DialFailure, Direction, HandshakeFailure, P2pMetrics};
pub use self::render::Snapshot;
pub use self::tasks::{TaskStats, WorkflowStats};

/// The media type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Series of their own for tools; what comes after them in the registry is counted together as `_other`.
pub const MAX_TOOL_SERIES: usize = 512;

/// The name for whatever has no name of its own.
const OTHER: &str = "_other";

/// The names of what is counted by index. They are closed lists: nothing a client sends becomes a label.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// MCP methods, in the order of the index given to [`CoreMetrics::operation`].
    pub methods: Vec<&'static str>,
    /// Tools in the order of the registry.
    pub tools: Vec<String>,
    /// Kinds of errors.
    pub errors: Vec<&'static str>,
    /// Protocols of libp2p streams, in the order of the index given to [`P2pMetrics::stream_opened`].
    pub p2p_protocols: Vec<&'static str>,
    /// Operations between libp2p peers, in the order of the index given to [`P2pMetrics::operation`].
    pub p2p_operations: Vec<&'static str>,
}

/// The metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    methods: Vec<&'static str>,
    tools: Vec<String>,
    errors: Vec<&'static str>,
    p2p_protocols: Vec<&'static str>,
    p2p_operations: Vec<&'static str>,
    core_labels: Vec<String>,
    cores: Box<[CachePadded<CoreMetrics>]>,
}

impl Metrics {
    /// Blocks for these cores (by core number, which becomes the `core` label), with series for these names.
    pub fn new(cores: &[usize], names: Names) -> Arc<Self> {
        let Names { mut methods, mut tools, mut errors, mut p2p_protocols, mut p2p_operations } = names;
        tools.truncate(MAX_TOOL_SERIES);
        // An index that is out of range lands on the last entry.
        methods.push(OTHER);
        tools.push(OTHER.to_owned());
        errors.push(OTHER);
        p2p_protocols.push(OTHER);
        p2p_operations.push(OTHER);
        let block = || {
            let p2p = P2pMetrics::new(p2p_protocols.len(), p2p_operations.len());
            CachePadded::new(CoreMetrics::new(methods.len(), tools.len(), errors.len(), p2p))
        };
        let blocks = cores.iter().map(|_| block()).collect();
        let core_labels = cores.iter().map(usize::to_string).collect();
        Arc::new(Self { methods, tools, errors, p2p_protocols, p2p_operations, core_labels, cores: blocks })
    }

    /// The block of the core with this index (its place in the list given to [`Metrics::new`]).
    ///
    /// # Panics
    /// When there is no such core.
    pub fn core(&self, index: usize) -> &CoreMetrics {
        &self.cores[index]
    }

    /// Connections open now, on all cores.
    pub fn connections_open(&self) -> u64 {
        self.cores.iter().map(|core| core.connections_open()).sum()
    }

    /// libp2p connections open now, on all cores.
    pub fn p2p_connections_open(&self) -> u64 {
        self.cores.iter().map(|core| core.p2p().connections_open()).sum()
    }

    /// Requests being answered now, on all cores.
    pub fn requests_in_flight(&self) -> u64 {
        self.cores.iter().map(|core| core.requests_in_flight()).sum()
    }

    /// Writes everything in Prometheus' text format, version 0.0.4, together with the gauges of other rooms.
    pub fn render(&self, snapshot: &Snapshot) -> String {
        render::render(self, snapshot)
    }
}
