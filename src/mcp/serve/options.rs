//! How a dispatcher is set up.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::limits::Limits;
use crate::mcp::ask::keys::RequestStateKeys;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::offer::blocking::Offload;
use crate::mcp::offer::icon::Icon;

/// Who the server says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The name for programs.
    pub name: String,
    /// The name for people, told to clients of 2025-06-18 and later.
    pub title: Option<String>,
    /// The version.
    pub version: String,
    /// What the server does, told to clients of 2025-11-25 and later.
    pub description: Option<String>,
    /// The server's page on the web, told to clients of 2025-11-25 and later.
    pub website_url: Option<String>,
    /// Icons, told to clients of 2025-11-25 and later.
    pub icons: Vec<Icon>,
}

impl Default for ServerInfo {
    fn default() -> Self {
        ServerInfo {
            name: env!("CARGO_PKG_NAME").to_owned(),
            title: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: None,
            website_url: None,
            icons: Vec::new(),
        }
    }
}

impl ServerInfo {
    /// The `Implementation` object as the revision knows it.
    pub(crate) fn to_json(&self, revision: Revision) -> String {
        json::object(|object| {
            object.string("name", &self.name);
            if revision >= Revision::V2025_06_18 {
                object.maybe("title", self.title.as_deref());
            }
            object.string("version", &self.version);
            if revision >= Revision::V2025_11_25 {
                object.maybe("description", self.description.as_deref());
                object.maybe("websiteUrl", self.website_url.as_deref());
                if !self.icons.is_empty() {
                    object.value("icons", &self.icons);
                }
            }
        })
    }

    /// Checks what clients could not use; the error is a sentence without its subject.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.icons.iter().try_for_each(Icon::check)?;
        match self.website_url.as_deref() {
            Some(url) if !(url.starts_with("https://") || url.starts_with("http://")) => {
                Err(format!("has the website {url:?}: use an http or https URL"))
            }
            _ => Ok(()),
        }
    }
}

/// The settings of a dispatcher.
#[derive(Clone)]
pub struct McpOptions {
    /// Who the server says it is.
    pub server: ServerInfo,
    /// Advice for models on how to use the server.
    pub instructions: Option<String>,
    /// The limits in force; those of this room are used.
    pub limits: Limits,
    /// Globs of the tools to offer; empty: all.
    pub allow_tools: Vec<String>,
    /// Globs of the tools not to offer; they win over `allow_tools`.
    pub deny_tools: Vec<String>,
    /// Whether tools of the group `p2p` are offered.
    pub p2p_tools: bool,
    /// Whether tools of the group `taskqueue` are offered.
    pub taskqueue_tools: bool,
    /// Whether tools of the group `workflow` are offered.
    pub workflow_tools: bool,
    /// How long a client may keep a list (`ttlMs`, 2026-07-28).
    pub list_ttl: Duration,
    /// The keys that seal `requestState` (2026-07-28); `None`: a key of this dispatcher alone, so that no other process
    /// and no later one can go on with its calls.
    pub request_state_keys: Option<RequestStateKeys>,
    /// The wall clock, for what must outlive a restart; tests set their own.
    pub clock: fn() -> SystemTime,
    /// The monotonic clock, asked only where a call waits for its client's answer; tests set their own.
    pub monotonic_clock: fn() -> Instant,
    /// The threads for blocking tools; needed only where one is registered.
    pub offload: Option<Arc<dyn Offload>>,
}

impl Default for McpOptions {
    fn default() -> Self {
        McpOptions {
            server: ServerInfo::default(),
            instructions: None,
            limits: Limits::default(),
            allow_tools: Vec::new(),
            deny_tools: Vec::new(),
            p2p_tools: true,
            taskqueue_tools: true,
            workflow_tools: true,
            list_ttl: Duration::from_secs(300),
            request_state_keys: None,
            clock: SystemTime::now,
            monotonic_clock: Instant::now,
            offload: None,
        }
    }
}

impl fmt::Debug for McpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpOptions")
            .field("server", &self.server)
            .field("allow_tools", &self.allow_tools)
            .field("deny_tools", &self.deny_tools)
            .field("offload", &self.offload.is_some())
            .finish_non_exhaustive()
    }
}
