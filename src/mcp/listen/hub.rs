//! Where a change of what is on offer finds everyone who listens for it.

/// Something that clients may listen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources or of their templates.
    Resources,
    /// The contents of the resource with this URI.
    Resource(String),
}

/// Everyone who listens, on any core.
#[derive(Debug, Default)]
pub(crate) struct Hub {}

impl Hub {
    /// Tells everyone who listens for the change. Any thread may call it; it does not wait.
    pub(crate) fn publish(&self, change: &Change) {
        tracing::debug!(?change, "changed");
    }
}
