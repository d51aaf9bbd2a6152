//! Telling clients of changes, from any thread.

use std::fmt;
use std::sync::Arc;

use crate::mcp::listen::hub::Change;
use crate::mcp::serve::snapshot::Shared;

/// Tells clients of what has changed.
#[derive(Clone)]
pub struct RegistryHandle(pub(crate) Arc<Shared>);

impl RegistryHandle {
    /// Tells clients that subscribed to the resource that a read yields something new.
    pub fn resource_updated(&self, uri: impl Into<String>) {
        self.0.hub.publish(&Change::Resource(uri.into()));
    }

    /// Tells clients to list the tools again.
    pub fn tools_changed(&self) {
        self.0.hub.publish(&Change::Tools);
    }

    /// Tells clients to list the resources and templates again.
    pub fn resources_changed(&self) {
        self.0.hub.publish(&Change::Resources);
    }

    /// Tells clients to list the prompts again.
    pub fn prompts_changed(&self) {
        self.0.hub.publish(&Change::Prompts);
    }
}

impl fmt::Debug for RegistryHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryHandle").finish_non_exhaustive()
    }
}
