//! What every core reads to serve requests, and the one handle to it that a core keeps.

use std::sync::Arc;

use crate::mcp::Revision;
use crate::mcp::message::json;
use crate::mcp::offer::blocking::Offload;
use crate::mcp::offer::pages::Pages;
use crate::mcp::offer::registry::{Registered, Registry, RegistryError};
use crate::mcp::serve::options::McpOptions;
use crate::mcp::session::table::SessionTable;

/// The `_meta` key under which a result names its server.
pub(crate) const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// A core's own handle: its reference count is touched once a call, so no two cores should share it.
pub(crate) struct Snapshot {
    shared: Arc<Shared>,
}

impl Snapshot {
    pub(crate) fn new(shared: Arc<Shared>) -> Snapshot {
        Snapshot { shared }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn for_another_core(&self) -> Snapshot {
        Snapshot { shared: self.shared.clone() }
    }
}

/// Built once from the registry and the options; sessions are all that changes in it.
pub(crate) struct Shared {
    tools: Vec<Registered>,
    /// Indexes of the tools in the order of their names.
    by_name: Vec<u32>,
    /// `"io.modelcontextprotocol/serverInfo":{…}`
    pub(crate) server_meta: Box<[u8]>,
    /// The result of `server/discover`.
    pub(crate) discover: Box<[u8]>,
    /// What follows the protocol version in the result of `initialize`.
    pub(crate) initialize_tail: Box<[u8]>,
    pub(crate) modern_tools: Pages,
    pub(crate) legacy_tools: Pages,
    pub(crate) sessions: SessionTable,
    pub(crate) offload: Option<Arc<dyn Offload>>,
    pub(crate) stream_queue_bytes: usize,
    pub(crate) max_depth: usize,
}

impl Shared {
    pub(crate) fn build(registry: Registry, options: McpOptions) -> Result<Shared, RegistryError> {
        let tools = registry.build(&options)?;
        let mut by_name: Vec<u32> = (0u32..).zip(&tools).map(|(index, _)| index).collect();
        by_name.sort_by_key(|index| &tools[*index as usize].name);
        let server_info = options.server.to_json();
        let server_meta = format!(r#""{SERVER_INFO_KEY}":{server_info}"#).into_bytes().into_boxed_slice();
        let limits = options.limits;
        let page = usize::try_from(limits.max_page_entries).unwrap_or(usize::MAX);
        let ttl_ms = u64::try_from(options.list_ttl.as_millis()).unwrap_or(u64::MAX);
        let cache = format!(r#","ttlMs":{ttl_ms},"cacheScope":"public""#);
        let instructions = options.instructions.as_deref().map(instructions).unwrap_or_default();
        let meta = String::from_utf8_lossy(&server_meta);
        let modern_end = format!(r#"{cache},"_meta":{{{meta}}}}}"#);
        let modern_tools: Vec<&str> = tools.iter().map(|tool| &*tool.modern_entry).collect();
        let legacy_tools: Vec<&str> = tools.iter().map(|tool| &*tool.legacy_entry).collect();
        Ok(Shared {
            by_name,
            discover: discover(&instructions, &modern_end),
            initialize_tail: format!(
                r#"","capabilities":{CAPABILITIES},"serverInfo":{server_info}{instructions}}}"#
            )
            .into_bytes()
            .into(),
            modern_tools: Pages::build(
                r#""resultType":"complete","#,
                "tools",
                &modern_tools,
                &modern_end,
                page,
            ),
            legacy_tools: Pages::build("", "tools", &legacy_tools, "}", page),
            tools,
            server_meta,
            sessions: SessionTable::new(&limits),
            offload: options.offload,
            stream_queue_bytes: usize::try_from(limits.max_stream_queue_bytes).unwrap_or(usize::MAX),
            max_depth: usize::try_from(limits.max_json_depth).unwrap_or(usize::MAX),
        })
    }

    pub(crate) fn tool(&self, index: u32) -> &Registered {
        &self.tools[index as usize]
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let place = self.by_name.binary_search_by_key(&name, |index| &self.tool(*index).name).ok()?;
        Some(self.by_name[place])
    }

    pub(crate) fn tools(&self) -> &[Registered] {
        &self.tools
    }
}

/// What the server offers, in both eras.
const CAPABILITIES: &str = r#"{"logging":{},"tools":{}}"#;

fn instructions(text: &str) -> String {
    let mut member = br#","instructions":"#.to_vec();
    json::string(&mut member, text);
    String::from_utf8(member).expect("invariant: a JSON string is UTF-8")
}

fn discover(instructions: &str, end: &str) -> Box<[u8]> {
    let versions = Revision::ALL.iter().map(|revision| format!("\"{}\"", revision.as_str()));
    let versions = versions.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"resultType":"complete","supportedVersions":[{versions}],"capabilities":{CAPABILITIES}{instructions}{end}"#
    )
    .into_bytes()
    .into()
}
