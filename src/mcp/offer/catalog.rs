//! Everything on offer at one moment, ready to be served: looked up by name and listed as bytes.

use std::sync::Arc;

use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::offer::pages::Pages;
use crate::mcp::offer::registry::Registered;
use crate::mcp::serve::options::McpOptions;

/// The `_meta` key under which a result names its server.
pub(crate) const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Never changes; a change of what is on offer makes a new one.
pub(crate) struct Catalog {
    tools: Vec<Arc<Registered>>,
    /// Indexes of the tools in the order of their names.
    by_name: Vec<u32>,
    /// The result of `server/discover`.
    pub(crate) discover: Box<[u8]>,
    /// What follows the protocol version in the result of `initialize`.
    pub(crate) initialize_tail: Box<[u8]>,
    pub(crate) modern_tools: Pages,
    pub(crate) legacy_tools: Pages,
}

impl Catalog {
    pub(crate) fn build(tools: Vec<Arc<Registered>>, options: &McpOptions) -> Catalog {
        let mut by_name: Vec<u32> = (0u32..).zip(&tools).map(|(index, _)| index).collect();
        by_name.sort_by_key(|index| &tools[*index as usize].name);
        let server_info = options.server.to_json();
        let page = usize::try_from(options.limits.max_page_entries).unwrap_or(usize::MAX);
        let ttl_ms = u64::try_from(options.list_ttl.as_millis()).unwrap_or(u64::MAX);
        let cache = format!(r#","ttlMs":{ttl_ms},"cacheScope":"public""#);
        let instructions = options.instructions.as_deref().map(instructions).unwrap_or_default();
        let modern_end = format!(r#"{cache},"_meta":{{{}}}}}"#, server_meta(options));
        let modern_tools: Vec<&str> = tools.iter().map(|tool| &*tool.modern_entry).collect();
        let legacy_tools: Vec<&str> = tools.iter().map(|tool| &*tool.legacy_entry).collect();
        let modern_start = r#""resultType":"complete","#;
        Catalog {
            by_name,
            discover: discover(&instructions, &modern_end),
            initialize_tail: format!(
                r#"","capabilities":{CAPABILITIES},"serverInfo":{server_info}{instructions}}}"#
            )
            .into_bytes()
            .into(),
            modern_tools: Pages::build(modern_start, "tools", &modern_tools, &modern_end, page),
            legacy_tools: Pages::build("", "tools", &legacy_tools, "}", page),
            tools,
        }
    }

    pub(crate) fn tool(&self, index: u32) -> &Registered {
        &self.tools[index as usize]
    }

    pub(crate) fn find_tool(&self, name: &str) -> Option<u32> {
        let place = self.by_name.binary_search_by_key(&name, |index| &self.tool(*index).name).ok()?;
        Some(self.by_name[place])
    }

    pub(crate) fn tools(&self) -> &[Arc<Registered>] {
        &self.tools
    }
}

/// What the server offers, in both eras.
const CAPABILITIES: &str = concat!(
    r#"{"logging":{},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"#,
    r#""tools":{"listChanged":true}}"#
);

/// `"io.modelcontextprotocol/serverInfo":{…}`
pub(crate) fn server_meta(options: &McpOptions) -> String {
    format!(r#""{SERVER_INFO_KEY}":{}"#, options.server.to_json())
}

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
