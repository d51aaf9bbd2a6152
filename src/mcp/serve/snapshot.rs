//! What every core reads to serve requests, and the one handle to it that a core keeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::mcp::listen::hub::Hub;
use crate::mcp::listen::places::Places;
use crate::mcp::offer::catalog::{Catalog, server_meta};
use crate::mcp::offer::registry::{Registry, RegistryError};
use crate::mcp::serve::options::McpOptions;
use crate::mcp::session::channel::Channels;
use crate::mcp::session::replay::Replay;
use crate::mcp::session::table::SessionTable;

/// A core's own handle on what is offered at one moment: its reference count is touched once a call, so no two cores
/// should share it.
pub(crate) struct Snapshot {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    generation: u64,
}

impl Snapshot {
    pub(crate) fn new(shared: Arc<Shared>) -> Snapshot {
        // The generation is read first: a catalog that is newer than its number is only fetched once more.
        let generation = shared.generation();
        let catalog = crate::mcp::lock(&shared.catalog).clone();
        Snapshot { shared, catalog, generation }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// True while nothing was added or removed since.
    pub(crate) fn is_current(&self) -> bool {
        self.generation == self.shared.generation()
    }
}

/// One for the process. What is on offer can be replaced; the rest is built once.
pub(crate) struct Shared {
    pub(crate) options: McpOptions,
    /// `"io.modelcontextprotocol/serverInfo":{…}`
    pub(crate) server_meta: Box<[u8]>,
    pub(crate) sessions: SessionTable,
    pub(crate) hub: Hub,
    /// The event streams that stay open.
    pub(crate) places: Places,
    pub(crate) replay: Arc<Replay>,
    pub(crate) channels: Channels,
    pub(crate) stream_queue_bytes: usize,
    pub(crate) max_depth: usize,
    /// The names of the tools there were at the start: the closed set that labels metrics.
    pub(crate) tool_labels: Vec<String>,
    catalog: Mutex<Arc<Catalog>>,
    /// Grows with every change of the catalog, after the change.
    generation: AtomicU64,
}

impl Shared {
    pub(crate) fn build(registry: Registry, options: McpOptions) -> Result<Shared, RegistryError> {
        let tools = registry.build(&options)?;
        let limits = &options.limits;
        Ok(Shared {
            server_meta: server_meta(&options).into_bytes().into(),
            sessions: SessionTable::new(limits),
            hub: Hub::default(),
            places: Places::new(limits.max_event_streams),
            replay: Arc::new(Replay::new(limits)),
            channels: Channels::default(),
            stream_queue_bytes: usize::try_from(limits.max_stream_queue_bytes).unwrap_or(usize::MAX),
            max_depth: usize::try_from(limits.max_json_depth).unwrap_or(usize::MAX),
            tool_labels: tools.iter().map(|tool| tool.name.clone()).collect(),
            catalog: Mutex::new(Arc::new(Catalog::build(tools, &options))),
            generation: AtomicU64::new(0),
            options,
        })
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}
