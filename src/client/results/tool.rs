//! Tools, and what calling one returns.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::content::ContentBlock;
use super::raw::{RawJson, kept_whole};

/// A tool that the server offers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ToolDescription {
    /// Its name, as [`crate::client::Client::call_tool`] takes it.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, word for word.
    pub input_schema: RawJson,
    /// The JSON Schema of its structured content, word for word.
    pub output_schema: Option<RawJson>,
    /// What the server says of its behaviour; not to be trusted unless the server is.
    #[serde(default)]
    pub annotations: ToolHints,
    /// Icons: objects with `src` and more.
    #[serde(default)]
    pub icons: Vec<Value>,
    /// The whole description, with whatever has no field here.
    #[serde(skip)]
    pub raw: RawJson,
}

/// Hints on a tool's behaviour. Absent is not the same as false, see the protocol's own defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ToolHints {
    /// A name for people.
    pub title: Option<String>,
    /// Whether it changes nothing.
    pub read_only_hint: Option<bool>,
    /// Whether it may destroy something.
    pub destructive_hint: Option<bool>,
    /// Whether calling it twice with the same arguments is as calling it once.
    pub idempotent_hint: Option<bool>,
    /// Whether it reaches beyond the server.
    pub open_world_hint: Option<bool>,
}

impl ToolHints {
    /// Whether a call that may have run may be made again.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.idempotent_hint == Some(true) || self.read_only_hint == Some(true)
    }
}

/// What a tool returned.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ToolResult {
    /// What it says.
    #[serde(default)]
    pub content: Vec<ContentBlock>,
    /// Its value, if it has one.
    pub structured_content: Option<Value>,
    /// Whether the tool says that it failed; the content says why.
    #[serde(default)]
    pub is_error: bool,
    /// Further data about the result.
    #[serde(default, rename = "_meta")]
    pub meta: Map<String, Value>,
    /// The whole result, with whatever has no field here.
    #[serde(skip)]
    pub raw: RawJson,
}

impl ToolResult {
    /// The texts of the content, one a line.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.content.iter().filter_map(ContentBlock::as_text).collect();
        texts.join("\n")
    }
}

kept_whole!(ToolDescription, ToolResult);
