//! Changing what is on offer, before a server runs and while it does.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use crate::mcp::listen::hub::Change;
use crate::mcp::offer::item::{Item, ItemKind, Taken};
use crate::mcp::offer::prompt::Prompt;
use crate::mcp::offer::registry::{Registry, RegistryError};
use crate::mcp::offer::resource::Resource;
use crate::mcp::offer::resource_template::ResourceTemplate;
use crate::mcp::offer::tool::Tool;
use crate::mcp::serve::snapshot::Shared;

/// Adds and removes what a server offers, from any thread, and tells clients of changes.
///
/// Every core serves what was added from its next request on; a call that runs is not disturbed by the removal of its
/// tool, and what was removed is dropped within seconds of the last such call. Clients that listen are told that a list
/// has changed. Before the server runs, changes become part of its registry, and what is wrong with them is reported
/// when it starts.
///
/// ```
/// use ringmesh::mcp::{Dispatcher, McpOptions, Registry, Resource};
///
/// let dispatcher = Dispatcher::new(Registry::new().dynamic(), McpOptions::default())?;
/// let handle = dispatcher.registry_handle();
/// handle.add_resource(Resource::text("test://motto", "motto", "Slow is smooth."))?;
/// handle.resource_updated("test://motto");
/// assert!(handle.remove_resource("test://motto"));
/// # Ok::<(), ringmesh::mcp::RegistryError>(())
/// ```
#[derive(Clone)]
pub struct RegistryHandle(Arc<Mutex<Stage>>);

/// Where the handle's server is in its life.
enum Stage {
    Before(Registry),
    /// Gone once the server has ended.
    Running(Weak<Shared>),
}

impl RegistryHandle {
    /// A handle on what a server will offer.
    pub(crate) fn before(registry: Registry) -> RegistryHandle {
        RegistryHandle(Arc::new(Mutex::new(Stage::Before(registry))))
    }

    /// A handle on what a server offers.
    pub(crate) fn running(shared: &Arc<Shared>) -> RegistryHandle {
        RegistryHandle(Arc::new(Mutex::new(Stage::Running(Arc::downgrade(shared)))))
    }

    /// Replaces what a server will offer; no effect once it runs.
    pub(crate) fn replace(&self, registry: Registry) {
        let replaced = match &mut *crate::mcp::lock(&self.0) {
            Stage::Before(before) => std::mem::replace(before, registry),
            Stage::Running(_) => registry,
        };
        drop(replaced);
    }

    /// Takes what the server will offer, which from now on has to be [attached](Self::attach).
    pub(crate) fn take(&self) -> Registry {
        match &mut *crate::mcp::lock(&self.0) {
            Stage::Before(registry) => std::mem::take(registry),
            Stage::Running(_) => Registry::new(),
        }
    }

    /// The server runs: changes go to it. Those that came since [`take`](Self::take) are made now.
    pub(crate) fn attach(&self, shared: &Arc<Shared>) -> Result<(), RegistryError> {
        let stage = Stage::Running(Arc::downgrade(shared));
        let before = std::mem::replace(&mut *crate::mcp::lock(&self.0), stage);
        match before {
            Stage::Before(late) => {
                late.into_items().try_for_each(|item| shared.add(item, Taken::Refuse).map(drop))
            }
            Stage::Running(_) => Ok(()),
        }
    }

    /// Adds a tool, unless the options switch it off.
    ///
    /// # Errors
    /// The tool is unsound or its name is taken, there are as many as `max_registry_entries` allows, or the server has
    /// ended; the error says so.
    pub fn add_tool(&self, tool: Tool) -> Result<(), RegistryError> {
        self.add(Item::Tool(Box::new(tool)), Taken::Refuse).map(drop)
    }

    /// Puts a tool in the place of the one with its name, with no moment between in which there is none, or adds it; true
    /// when there was one.
    ///
    /// # Errors
    /// As [`RegistryHandle::add_tool`], but a name may be taken.
    pub fn put_tool(&self, tool: Tool) -> Result<bool, RegistryError> {
        self.add(Item::Tool(Box::new(tool)), Taken::Replace)
    }

    /// Removes the tool of that name; true when there was one.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.remove(ItemKind::Tool, name)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// As [`RegistryHandle::add_tool`], for a resource and its URI.
    pub fn add_resource(&self, resource: Resource) -> Result<(), RegistryError> {
        self.add(Item::Resource(Box::new(resource)), Taken::Refuse).map(drop)
    }

    /// Puts a resource in the place of the one with its URI, or adds it; true when there was one.
    ///
    /// # Errors
    /// As [`RegistryHandle::put_tool`].
    pub fn put_resource(&self, resource: Resource) -> Result<bool, RegistryError> {
        self.add(Item::Resource(Box::new(resource)), Taken::Replace)
    }

    /// Removes the resource with that URI; true when there was one.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.remove(ItemKind::Resource, uri)
    }

    /// Adds a family of resources.
    ///
    /// # Errors
    /// As [`RegistryHandle::add_tool`], for a template and its text.
    pub fn add_resource_template(&self, template: ResourceTemplate) -> Result<(), RegistryError> {
        self.add(Item::Template(Box::new(template)), Taken::Refuse).map(drop)
    }

    /// Puts a family of resources in the place of the one with the same template, or adds it; true when there was one.
    ///
    /// # Errors
    /// As [`RegistryHandle::put_tool`].
    pub fn put_resource_template(&self, template: ResourceTemplate) -> Result<bool, RegistryError> {
        self.add(Item::Template(Box::new(template)), Taken::Replace)
    }

    /// Removes the family of resources with that template, as it was written; true when there was one.
    pub fn remove_resource_template(&self, template: &str) -> bool {
        self.remove(ItemKind::Template, template)
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// As [`RegistryHandle::add_tool`], for a prompt and its name.
    pub fn add_prompt(&self, prompt: Prompt) -> Result<(), RegistryError> {
        self.add(Item::Prompt(Box::new(prompt)), Taken::Refuse).map(drop)
    }

    /// Puts a prompt in the place of the one with its name, or adds it; true when there was one.
    ///
    /// # Errors
    /// As [`RegistryHandle::put_tool`].
    pub fn put_prompt(&self, prompt: Prompt) -> Result<bool, RegistryError> {
        self.add(Item::Prompt(Box::new(prompt)), Taken::Replace)
    }

    /// Removes the prompt of that name; true when there was one.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.remove(ItemKind::Prompt, name)
    }

    /// Tells clients that subscribed to the resource that a read yields something new. It need not be registered: a
    /// template may serve it.
    pub fn resource_updated(&self, uri: impl Into<String>) {
        self.publish(&Change::Resource(uri.into()));
    }

    /// Tells clients to list the tools again, though none was added or removed here.
    pub fn tools_changed(&self) {
        self.publish(&Change::Tools);
    }

    /// Tells clients to list the resources and templates again.
    pub fn resources_changed(&self) {
        self.publish(&Change::Resources);
    }

    /// Tells clients to list the prompts again.
    pub fn prompts_changed(&self) {
        self.publish(&Change::Prompts);
    }

    fn add(&self, item: Item, taken: Taken) -> Result<bool, RegistryError> {
        let running = match &mut *crate::mcp::lock(&self.0) {
            Stage::Before(registry) => Err(registry.add(item, taken)),
            Stage::Running(shared) => Ok((shared.upgrade(), item)),
        };
        match running {
            // What was replaced is the author's, so it is dropped here, after the lock.
            Err(replaced) => Ok(replaced.is_some()),
            Ok((Some(shared), item)) => shared.add(item, taken),
            Ok((None, _)) => Err(RegistryError::new("the server has ended")),
        }
    }

    fn remove(&self, kind: ItemKind, key: &str) -> bool {
        let running = match &mut *crate::mcp::lock(&self.0) {
            // What is removed is the author's, so it is dropped after the lock.
            Stage::Before(registry) => Err(registry.remove(kind, key)),
            Stage::Running(shared) => Ok(shared.upgrade()),
        };
        match running {
            Err(removed) => removed.is_some(),
            Ok(shared) => shared.is_some_and(|shared| shared.remove(kind, key)),
        }
    }

    fn publish(&self, change: &Change) {
        let running = match &*crate::mcp::lock(&self.0) {
            // Nobody listens yet.
            Stage::Before(_) => None,
            Stage::Running(shared) => shared.upgrade(),
        };
        if let Some(shared) = running {
            shared.hub.publish(change);
        }
    }
}

impl fmt::Debug for RegistryHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryHandle").finish_non_exhaustive()
    }
}
