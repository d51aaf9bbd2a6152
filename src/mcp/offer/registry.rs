//! What a server offers from its start on, in the order in which it is listed.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::limits::Limit;
use crate::mcp::call::context::Context;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::capabilities::Offered;
use crate::mcp::offer::catalog::Shelves;
use crate::mcp::offer::filter::Filter;
use crate::mcp::offer::item::{Item, ItemKind, Ready, Taken};
use crate::mcp::offer::prompt::Prompt;
use crate::mcp::offer::reply::IntoReply;
use crate::mcp::offer::resource::Resource;
use crate::mcp::offer::resource_template::ResourceTemplate;
use crate::mcp::offer::shelf::Shelf;
use crate::mcp::offer::tool::Tool;
use crate::mcp::serve::options::McpOptions;

/// Why something cannot be put on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryError(String);

impl RegistryError {
    pub(crate) fn new(sentence: impl Into<String>) -> RegistryError {
        RegistryError(sentence.into())
    }

    pub(crate) fn twice(kind: ItemKind, key: &str) -> RegistryError {
        RegistryError(format!("the {kind} {key} is registered twice"))
    }

    pub(crate) fn full(kind: ItemKind, max: u64) -> RegistryError {
        RegistryError(format!("there is a {kind} more than max_registry_entries allows, which is {max}"))
    }

    pub(crate) fn random(error: &std::io::Error) -> RegistryError {
        RegistryError(format!("no key for request states: the system's random source failed: {error}"))
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RegistryError {}

/// The tools, resources, resource templates and prompts of a server. Each kind is listed in the order of its
/// registration. A [`RegistryHandle`](crate::mcp::RegistryHandle) changes them while the server runs.
///
/// ```
/// use ringmesh::mcp::{Context, Dispatcher, Json, LogLevel, McpOptions, Registry};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add {
///     a: i64,
///     /// At most a hundred.
///     #[schemars(range(max = 100))]
///     b: i64,
/// }
///
/// let registry = Registry::new().tool("add", "Adds two numbers", |args: Add, context: Context| async move {
///     context.log(LogLevel::Info, None, "adding").await;
///     Ok(Json(args.a.saturating_add(args.b)))
/// });
/// let dispatcher = Dispatcher::new(registry, McpOptions::default())?;
/// assert_eq!(dispatcher.tools().collect::<Vec<_>>(), ["add"]);
/// # Ok::<(), ringmesh::mcp::RegistryError>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    items: Vec<Item>,
    dynamic: bool,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Registers a typed async function: its arguments' type gives the input schema, its result's type the rest.
    #[must_use]
    pub fn tool<A, F, Fut, R>(
        self,
        name: impl Into<String>,
        description: impl Into<String>,
        handler: F,
    ) -> Registry
    where
        A: DeserializeOwned + JsonSchema + 'static,
        F: Fn(A, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoReply + 'static,
    {
        self.with(Tool::new(name, description, handler))
    }

    /// Registers a tool that was described in full.
    #[must_use]
    pub fn with(self, tool: Tool) -> Registry {
        self.and(Item::Tool(Box::new(tool)))
    }

    /// Registers a resource.
    #[must_use]
    pub fn resource(self, resource: Resource) -> Registry {
        self.and(Item::Resource(Box::new(resource)))
    }

    /// Registers a family of resources.
    #[must_use]
    pub fn resource_template(self, template: ResourceTemplate) -> Registry {
        self.and(Item::Template(Box::new(template)))
    }

    /// Registers a prompt.
    #[must_use]
    pub fn prompt(self, prompt: Prompt) -> Registry {
        self.and(Item::Prompt(Box::new(prompt)))
    }

    /// Declares tools, resources, prompts and completion to clients though there may be none yet, because they will be
    /// added while the server runs. Without this only what there is something of is declared, and clients that came
    /// earlier may never ask for the rest.
    #[must_use]
    pub fn dynamic(mut self) -> Registry {
        self.dynamic = true;
        self
    }

    /// How many tools, resources, templates and prompts there are together.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn and(mut self, item: Item) -> Registry {
        self.items.push(item);
        self
    }

    /// Adds a thing; the one whose place it takes comes back.
    pub(crate) fn add(&mut self, item: Item, taken: Taken) -> Option<Item> {
        let same = |other: &&mut Item| other.kind() == item.kind() && other.key() == item.key();
        match self.items.iter_mut().find(same) {
            Some(other) if taken == Taken::Replace => Some(std::mem::replace(other, item)),
            // What is registered twice is reported at the start.
            _ => {
                self.items.push(item);
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, kind: ItemKind, key: &str) -> Option<Item> {
        let place = self.items.iter().position(|item| item.kind() == kind && item.key() == key)?;
        Some(self.items.remove(place))
    }

    pub(crate) fn into_items(self) -> impl Iterator<Item = Item> {
        self.items.into_iter()
    }

    /// Checks everything and keeps what the filter allows.
    pub(crate) fn build(self, options: &McpOptions, filter: &Filter) -> Result<Shelves, RegistryError> {
        let max = options.limits.value(Limit::RegistryEntries);
        let mut keys = HashSet::new();
        let mut counts = [0; 4];
        let (mut tools, mut resources, mut templates, mut prompts) = (vec![], vec![], vec![], vec![]);
        let offered = offered(&self);
        for item in self.items {
            let (kind, key) = (item.kind(), item.key().to_owned());
            counts[kind as usize] += 1;
            if counts[kind as usize] > max {
                return Err(RegistryError::full(kind, max));
            }
            let ready = item.ready(options)?;
            if !keys.insert((kind, key.clone())) {
                return Err(RegistryError::twice(kind, &key));
            }
            match ready {
                Ready::Tool(mut tool) => {
                    // A tool that is switched off was checked all the same, so that switching it on holds no surprise.
                    if filter.allows(&tool.name, tool.group) {
                        tool.label = u32::try_from(tools.len()).ok();
                        tools.push(Arc::new(tool));
                    }
                }
                Ready::Resource(resource) => resources.push(Arc::new(resource)),
                Ready::Template(template) => templates.push(Arc::new(template)),
                Ready::Prompt(prompt) => prompts.push(Arc::new(prompt)),
            }
        }
        Ok(Shelves {
            tools: Arc::new(Shelf::new(tools)),
            resources: Arc::new(Shelf::new(resources)),
            templates: Arc::new(Shelf::new(templates)),
            prompts: Arc::new(Shelf::new(prompts)),
            offered,
        })
    }
}

fn offered(registry: &Registry) -> Offered {
    let start = if registry.dynamic { Offered::ALL } else { Offered::default() };
    registry.items.iter().fold(start, |offered, item| offered.and(item.kind(), item.completes()))
}
