//! Everything on offer at one moment, ready to be served: looked up by name and listed as bytes.

use std::sync::Arc;

use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::message::method::MethodKind;
use crate::mcp::offer::cache::{Cache, CacheScope};
use crate::mcp::offer::capabilities::Offered;
use crate::mcp::offer::item::{ItemKind, Ready};
use crate::mcp::offer::pages::{Frame, Pages};
use crate::mcp::offer::prompt::Prompt;
use crate::mcp::offer::ready_tool::ReadyTool;
use crate::mcp::offer::resource::Resource;
use crate::mcp::offer::resource_template::ReadyTemplate;
use crate::mcp::offer::shelf::{Listed, Shelf};
use crate::mcp::serve::options::McpOptions;

/// The `_meta` key under which a result names its server.
pub(crate) const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// The things on offer, by kind. A copy shares them.
#[derive(Clone)]
pub(crate) struct Shelves {
    pub(crate) tools: Arc<Shelf<ReadyTool>>,
    pub(crate) resources: Arc<Shelf<Resource>>,
    pub(crate) templates: Arc<Shelf<ReadyTemplate>>,
    pub(crate) prompts: Arc<Shelf<Prompt>>,
    pub(crate) offered: Offered,
}

/// What answers for a URI.
pub(crate) enum Found<'a> {
    /// The resource with that URI.
    Resource(u32, &'a Resource),
    /// A template that makes it, and its variables' values.
    Template(u32, &'a ReadyTemplate, Vec<(&'a str, String)>),
}

/// Never changes; a change of what is on offer makes a new one.
pub(crate) struct Catalog {
    shelves: Shelves,
    /// The result of `server/discover`.
    pub(crate) discover: Box<[u8]>,
    /// For each revision what follows its name in the result of `initialize`.
    initialize_tails: Box<[Box<[u8]>]>,
    /// What closes a list of 2026-07-28.
    modern_end: String,
    page_entries: usize,
}

impl Catalog {
    pub(crate) fn build(shelves: Shelves, options: &McpOptions) -> Catalog {
        let cache = Cache { ttl: options.list_ttl, scope: CacheScope::Public }.members();
        let instructions = options.instructions.as_deref().map(instructions).unwrap_or_default();
        let modern_end = format!(r#"{cache},"_meta":{{{}}}}}"#, server_meta(options));
        let offered = shelves.offered;
        let tail = |revision: &Revision| {
            let capabilities = offered.to_json(*revision);
            let server_info = options.server.to_json(*revision);
            let tail =
                format!(r#"","capabilities":{capabilities},"serverInfo":{server_info}{instructions}}}"#);
            tail.into_bytes().into()
        };
        Catalog {
            discover: discover(offered, &instructions, &modern_end),
            initialize_tails: Revision::ALL.iter().map(tail).collect(),
            page_entries: usize::try_from(options.limits.max_page_entries).unwrap_or(usize::MAX),
            modern_end,
            shelves,
        }
    }

    pub(crate) fn shelves(&self) -> &Shelves {
        &self.shelves
    }

    pub(crate) fn tool(&self, index: u32) -> &ReadyTool {
        self.shelves.tools.at(index)
    }

    pub(crate) fn resource(&self, index: u32) -> &Resource {
        self.shelves.resources.at(index)
    }

    pub(crate) fn template(&self, index: u32) -> &ReadyTemplate {
        self.shelves.templates.at(index)
    }

    pub(crate) fn prompt(&self, index: u32) -> &Prompt {
        self.shelves.prompts.at(index)
    }

    /// What answers for a URI: the resource registered with it, else the first template that can make it.
    pub(crate) fn find_uri(&self, uri: &str) -> Option<Found<'_>> {
        if let Some(index) = self.shelves.resources.find(uri) {
            return Some(Found::Resource(index, self.resource(index)));
        }
        let mut templates = (0u32..).zip(self.shelves.templates.entries());
        templates.find_map(|(index, template)| {
            Some(Found::Template(index, template, template.pattern.matches(uri)?))
        })
    }

    /// What follows the protocol version in the result of `initialize`.
    pub(crate) fn initialize_tail(&self, revision: Revision) -> &[u8] {
        let place = Revision::ALL.iter().position(|known| *known == revision);
        place.map_or(b"\"}", |place| &self.initialize_tails[place])
    }

    /// The list that a method asks for, as the revision knows it; `None` for methods that ask for none.
    pub(crate) fn list(&self, method: MethodKind, revision: Revision) -> Option<&Pages> {
        let (start, end) = match revision.is_modern() {
            true => (r#""resultType":"complete","#, self.modern_end.as_str()),
            false => ("", "}"),
        };
        let frame = &Frame { start, end, page_entries: self.page_entries };
        match method {
            MethodKind::ToolsList => Some(self.shelves.tools.pages(revision, frame)),
            MethodKind::ResourcesList => Some(self.shelves.resources.pages(revision, frame)),
            MethodKind::ResourcesTemplatesList => Some(self.shelves.templates.pages(revision, frame)),
            MethodKind::PromptsList => Some(self.shelves.prompts.pages(revision, frame)),
            _ => None,
        }
    }
}

impl Shelves {
    pub(crate) fn holds(&self, kind: ItemKind, key: &str) -> bool {
        match kind {
            ItemKind::Tool => self.tools.find(key).is_some(),
            ItemKind::Resource => self.resources.find(key).is_some(),
            ItemKind::Template => self.templates.find(key).is_some(),
            ItemKind::Prompt => self.prompts.find(key).is_some(),
        }
    }

    pub(crate) fn len(&self, kind: ItemKind) -> usize {
        match kind {
            ItemKind::Tool => self.tools.entries().len(),
            ItemKind::Resource => self.resources.entries().len(),
            ItemKind::Template => self.templates.entries().len(),
            ItemKind::Prompt => self.prompts.entries().len(),
        }
    }

    /// The same with one thing more, or with it in the place of the one that has its key.
    pub(crate) fn with(&self, thing: Ready) -> Shelves {
        fn put<T: Listed>(shelf: &Shelf<T>, thing: T) -> Arc<Shelf<T>> {
            let thing = Arc::new(thing);
            Arc::new(shelf.replaced(thing.clone()).unwrap_or_else(|| shelf.with(thing)))
        }
        let mut shelves = self.clone();
        match thing {
            Ready::Tool(tool) => shelves.tools = put(&self.tools, tool),
            Ready::Resource(resource) => shelves.resources = put(&self.resources, resource),
            Ready::Template(template) => shelves.templates = put(&self.templates, template),
            Ready::Prompt(prompt) => shelves.prompts = put(&self.prompts, prompt),
        }
        shelves
    }

    /// The same without one thing; `None` where there is no such thing.
    pub(crate) fn without(&self, kind: ItemKind, key: &str) -> Option<Shelves> {
        let mut shelves = self.clone();
        match kind {
            ItemKind::Tool => shelves.tools = Arc::new(self.tools.without(key)?),
            ItemKind::Resource => shelves.resources = Arc::new(self.resources.without(key)?),
            ItemKind::Template => shelves.templates = Arc::new(self.templates.without(key)?),
            ItemKind::Prompt => shelves.prompts = Arc::new(self.prompts.without(key)?),
        }
        Some(shelves)
    }
}

/// `"io.modelcontextprotocol/serverInfo":{…}`
pub(crate) fn server_meta(options: &McpOptions) -> String {
    format!(r#""{SERVER_INFO_KEY}":{}"#, options.server.to_json(Revision::V2026_07_28))
}

fn instructions(text: &str) -> String {
    let mut member = br#","instructions":"#.to_vec();
    json::string(&mut member, text);
    String::from_utf8(member).expect("invariant: a JSON string is UTF-8")
}

fn discover(offered: Offered, instructions: &str, end: &str) -> Box<[u8]> {
    let versions = Revision::ALL.iter().map(|revision| format!("\"{}\"", revision.as_str()));
    let versions = versions.collect::<Vec<_>>().join(",");
    let capabilities = offered.to_json(Revision::V2026_07_28);
    format!(
        r#"{{"resultType":"complete","supportedVersions":[{versions}],"capabilities":{capabilities}{instructions}{end}"#
    )
    .into_bytes()
    .into()
}
