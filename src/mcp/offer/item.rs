//! Anything that can be put on offer, on its way from the author's description to the catalog.

use std::fmt;

use crate::limits::Limit;
use crate::mcp::offer::prompt::Prompt;
use crate::mcp::offer::ready_tool::ReadyTool;
use crate::mcp::offer::registry::RegistryError;
use crate::mcp::offer::resource::Resource;
use crate::mcp::offer::resource_template::{ReadyTemplate, ResourceTemplate};
use crate::mcp::offer::tool::Tool;
use crate::mcp::serve::options::McpOptions;

/// What a thing on offer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ItemKind {
    Tool,
    Resource,
    Template,
    Prompt,
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ItemKind::Tool => "tool",
            ItemKind::Resource => "resource",
            ItemKind::Template => "resource template",
            ItemKind::Prompt => "prompt",
        })
    }
}

/// What becomes of a thing whose key another one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is refused.
    Refuse,
    /// It takes the other's place.
    Replace,
}

/// A thing as its author describes it.
#[derive(Debug)]
pub(crate) enum Item {
    Tool(Box<Tool>),
    Resource(Box<Resource>),
    Template(Box<ResourceTemplate>),
    Prompt(Box<Prompt>),
}

impl Item {
    pub(crate) fn kind(&self) -> ItemKind {
        match self {
            Item::Tool(_) => ItemKind::Tool,
            Item::Resource(_) => ItemKind::Resource,
            Item::Template(_) => ItemKind::Template,
            Item::Prompt(_) => ItemKind::Prompt,
        }
    }

    /// What tells it from others of its kind.
    pub(crate) fn key(&self) -> &str {
        match self {
            Item::Tool(tool) => &tool.name,
            Item::Resource(resource) => &resource.uri,
            Item::Template(template) => &template.template,
            Item::Prompt(prompt) => &prompt.name,
        }
    }

    /// Whether it brings suggestions for its arguments.
    pub(crate) fn completes(&self) -> bool {
        match self {
            Item::Tool(_) | Item::Resource(_) => false,
            Item::Template(template) => !template.completers.is_empty(),
            Item::Prompt(prompt) => !prompt.completers.is_empty(),
        }
    }

    /// Checks the thing.
    pub(crate) fn ready(self, options: &McpOptions) -> Result<Ready, RegistryError> {
        let subject = format!("the {} {}", self.kind(), self.shown_key());
        let max_uri_bytes = options.limits.value(Limit::UriBytes);
        let ready = match self {
            Item::Tool(tool) => ReadyTool::new(*tool, options).map(Ready::Tool),
            Item::Resource(resource) => resource.check(max_uri_bytes).map(|()| Ready::Resource(*resource)),
            Item::Template(template) => template.ready(max_uri_bytes).map(Ready::Template),
            Item::Prompt(prompt) => prompt.check().map(|()| Ready::Prompt(*prompt)),
        };
        ready.map_err(|problem| RegistryError::new(format!("{subject} {problem}")))
    }

    /// The key for a message: in quotes where it could be taken for words of the sentence.
    fn shown_key(&self) -> String {
        let plain = |byte: u8| byte.is_ascii_graphic();
        match self.key() {
            key if !key.is_empty() && key.len() <= 256 && key.bytes().all(plain) => key.to_owned(),
            key => format!("{:?}", crate::mcp::message::answer::excerpt(key)),
        }
    }
}

/// A thing that was checked.
pub(crate) enum Ready {
    Tool(ReadyTool),
    Resource(Resource),
    Template(ReadyTemplate),
    Prompt(Prompt),
}
