//! Who the server is and what it offers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::raw::RawJson;

/// Who the server says it is, and what it offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServerDescription {
    /// Its name; empty where it names none. Only for display: nobody has verified it.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// Its version.
    pub version: String,
    /// How a language model should use it.
    pub instructions: Option<String>,
    /// What it offers (`ServerCapabilities`).
    pub capabilities: Value,
    /// The revisions that it named; one after `initialize`.
    pub supported_versions: Vec<String>,
    /// The whole result of `server/discover` or `initialize`.
    pub raw: RawJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    protocol_version: Option<String>,
    #[serde(default)]
    supported_versions: Vec<String>,
    #[serde(default)]
    capabilities: Value,
    server_info: Option<Value>,
    instructions: Option<String>,
    #[serde(default, rename = "_meta")]
    meta: Value,
}

impl ServerDescription {
    /// Reads the result of `server/discover` or `initialize`.
    pub(crate) fn read(raw: RawJson) -> serde_json::Result<Self> {
        let wire: Wire = raw.read()?;
        let info = wire.server_info.or_else(|| wire.meta.get("io.modelcontextprotocol/serverInfo").cloned());
        let text = |name: &str| Some(info.as_ref()?.get(name)?.as_str()?.to_owned());
        let versions = wire.supported_versions.into_iter().chain(wire.protocol_version);
        Ok(Self {
            name: text("name").unwrap_or_default(),
            title: text("title"),
            version: text("version").unwrap_or_default(),
            instructions: wire.instructions,
            capabilities: wire.capabilities,
            supported_versions: versions.collect(),
            raw,
        })
    }

    /// Whether it offers a capability, for example `tools` or `resources.subscribe`.
    pub fn offers(&self, capability: &str) -> bool {
        let found = capability.split('.').try_fold(&self.capabilities, |value, name| value.get(name));
        found.is_some_and(|value| !value.is_null() && value != false)
    }
}
