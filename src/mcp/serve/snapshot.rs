//! What every core reads to serve requests, and the one handle to it that a core keeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::limits::Limit;
use crate::mcp::ask::keys::RequestStateKeys;
use crate::mcp::ask::seal::Sealer;
use crate::mcp::ask::used::UsedStates;
use crate::mcp::listen::hub::{Change, Hub};
use crate::mcp::listen::places::Places;
use crate::mcp::offer::catalog::{Catalog, Shelves, server_meta};
use crate::mcp::offer::filter::Filter;
use crate::mcp::offer::item::{Item, ItemKind, Ready, Taken};
use crate::mcp::offer::registry::{Registry, RegistryError};
use crate::mcp::serve::options::McpOptions;
use crate::mcp::session::channel::Channels;
use crate::mcp::session::pending::AnswerRoom;
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
    pub(crate) sealer: Sealer,
    pub(crate) used_states: UsedStates,
    /// The event streams that stay open.
    pub(crate) places: Places,
    pub(crate) replay: Arc<Replay>,
    pub(crate) channels: Channels,
    /// For answers to questions of calls that run; as many bytes again as connections may hold.
    pub(crate) answers: Arc<AnswerRoom>,
    pub(crate) stream_queue_bytes: usize,
    pub(crate) max_depth: usize,
    /// The names of the tools there were at the start: the closed set that labels metrics.
    pub(crate) tool_labels: Vec<String>,
    /// Which tools may be added.
    filter: Filter,
    /// Held by whoever makes a new catalog; requests never take it.
    changing: Mutex<()>,
    catalog: Mutex<Arc<Catalog>>,
    /// Grows with every change of the catalog, after the change.
    generation: AtomicU64,
}

impl Shared {
    pub(crate) fn build(registry: Registry, options: McpOptions) -> Result<Shared, RegistryError> {
        options.server.check().map_err(|problem| RegistryError::new(format!("the server {problem}")))?;
        let filter = Filter::new(&options)?;
        let shelves = registry.build(&options, &filter)?;
        let limits = &options.limits;
        let keys = options.request_state_keys.clone().map_or_else(RequestStateKeys::random, Ok);
        let keys = keys.map_err(|error| RegistryError::random(&error))?;
        let max_used = usize::try_from(limits.max_single_use_states).unwrap_or(usize::MAX);
        Ok(Shared {
            server_meta: server_meta(&options).into_bytes().into(),
            sessions: SessionTable::new(limits),
            hub: Hub::default(),
            answers: AnswerRoom::new(limits.max_buffered_bytes),
            sealer: Sealer::new(&keys, &options),
            used_states: UsedStates::new(max_used),
            places: Places::new(limits.max_event_streams),
            replay: Arc::new(Replay::new(limits)),
            channels: Channels::default(),
            stream_queue_bytes: usize::try_from(limits.max_stream_queue_bytes).unwrap_or(usize::MAX),
            max_depth: usize::try_from(limits.max_json_depth).unwrap_or(usize::MAX),
            tool_labels: shelves.tools.entries().iter().map(|tool| tool.name.clone()).collect(),
            filter,
            changing: Mutex::new(()),
            catalog: Mutex::new(Arc::new(Catalog::build(shelves, &options))),
            generation: AtomicU64::new(0),
            options,
        })
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts a thing on offer; the next request on any core finds it. True when it took the place of another.
    pub(crate) fn add(&self, item: Item, taken: Taken) -> Result<bool, RegistryError> {
        let (kind, key, completes) = (item.kind(), item.key().to_owned(), item.completes());
        // Checking may take long and run the author's code, so it comes before the lock.
        let ready = self.labelled(item.ready(&self.options)?);
        if let Ready::Tool(tool) = &ready
            && !self.filter.allows(&tool.name, tool.group)
        {
            tracing::info!(tool = tool.name, "the options switch the tool off; it is not added");
            return Ok(false);
        }
        // What is refused is the author's, so it is dropped after the lock.
        let mut ready = Some(ready);
        let mut replaces = false;
        self.change(kind, |shelves| {
            let max = self.options.limits.value(Limit::RegistryEntries);
            replaces = shelves.holds(kind, &key);
            match taken {
                Taken::Refuse if replaces => return Err(RegistryError::twice(kind, &key)),
                _ if !replaces && shelves.len(kind) as u64 >= max => {
                    return Err(RegistryError::full(kind, max));
                }
                _ => {}
            }
            let more = ready.take().map(|ready| shelves.with(ready));
            Ok(more.map(|more| Shelves { offered: more.offered.and(kind, completes), ..more }))
        })?;
        Ok(replaces)
    }

    /// Takes a thing off; true when it was there.
    pub(crate) fn remove(&self, kind: ItemKind, key: &str) -> bool {
        self.change(kind, |shelves| Ok(shelves.without(kind, key))).unwrap_or(false)
    }

    /// A tool that comes back under a name known at the start counts under that name again.
    fn labelled(&self, mut ready: Ready) -> Ready {
        if let Ready::Tool(tool) = &mut ready {
            let label = self.tool_labels.iter().position(|name| *name == tool.name);
            tool.label = label.and_then(|label| u32::try_from(label).ok());
        }
        ready
    }

    /// Makes a new catalog unless `make` leaves it at the old one, and tells who listens; true when it was made.
    fn change(
        &self,
        kind: ItemKind,
        make: impl FnOnce(&Shelves) -> Result<Option<Shelves>, RegistryError>,
    ) -> Result<bool, RegistryError> {
        let changing = crate::mcp::lock(&self.changing);
        let old = crate::mcp::lock(&self.catalog).clone();
        let Some(shelves) = make(old.shelves())? else { return Ok(false) };
        let new = Arc::new(Catalog::build(shelves, &self.options));
        *crate::mcp::lock(&self.catalog) = new;
        self.generation.fetch_add(1, Ordering::Release);
        drop(changing);
        self.hub.publish(&match kind {
            ItemKind::Tool => Change::Tools,
            ItemKind::Resource | ItemKind::Template => Change::Resources,
            ItemKind::Prompt => Change::Prompts,
        });
        Ok(true)
    }
}
