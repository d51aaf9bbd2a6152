//! Which tools the options allow.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::mcp::offer::registry::RegistryError;
use crate::mcp::offer::tool::ToolGroup;
use crate::mcp::serve::options::McpOptions;

/// The options' globs, compiled once.
pub(crate) struct Filter {
    allow: GlobSet,
    deny: GlobSet,
    p2p: bool,
    taskqueue: bool,
    workflow: bool,
}

impl Filter {
    pub(crate) fn new(options: &McpOptions) -> Result<Filter, RegistryError> {
        Ok(Filter {
            allow: set(&options.allow_tools)?,
            deny: set(&options.deny_tools)?,
            p2p: options.p2p_tools,
            taskqueue: options.taskqueue_tools,
            workflow: options.workflow_tools,
        })
    }

    pub(crate) fn allows(&self, name: &str, group: Option<ToolGroup>) -> bool {
        let group_on = match group {
            None => true,
            Some(ToolGroup::P2p) => self.p2p,
            Some(ToolGroup::Taskqueue) => self.taskqueue,
            Some(ToolGroup::Workflow) => self.workflow,
        };
        group_on && (self.allow.is_empty() || self.allow.is_match(name)) && !self.deny.is_match(name)
    }
}

fn set(globs: &[String]) -> Result<GlobSet, RegistryError> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let glob = Glob::new(glob)
            .map_err(|error| RegistryError::new(format!("{glob:?} is no pattern for tool names: {error}")))?;
        builder.add(glob);
    }
    builder.build().map_err(|error| RegistryError::new(format!("the patterns for tool names: {error}")))
}
