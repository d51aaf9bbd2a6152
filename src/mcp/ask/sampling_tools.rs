//! Tools that the client's model may use while it answers, and what came of their use.

use serde::Serialize;
use serde_json::{Value, json};

use crate::mcp::offer::content::Content;
use crate::mcp::schema::document::{Schema, SchemaSource};

/// Whether the model may, must or must not use the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// It must use at least one.
    Required,
    /// It must use none.
    None,
}

/// A tool that the model may use while it answers; it need not be one of the server's own.
#[derive(Debug, Clone)]
pub struct SamplingTool {
    name: String,
    description: String,
    input_schema: SchemaSource,
}

impl SamplingTool {
    /// A tool with the schema of its arguments.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: impl Into<SchemaSource>,
    ) -> SamplingTool {
        SamplingTool { name: name.into(), description: description.into(), input_schema: input_schema.into() }
    }
}

/// What came of one use of a tool, to be given back to the model.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", tag = "type", rename = "tool_result")]
pub struct ToolUseResult {
    pub(crate) tool_use_id: String,
    content: Vec<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

impl ToolUseResult {
    /// The result of the use with this id.
    pub fn new(tool_use_id: impl Into<String>, content: impl IntoIterator<Item = Content>) -> ToolUseResult {
        ToolUseResult {
            tool_use_id: tool_use_id.into(),
            content: content.into_iter().collect(),
            structured_content: None,
            is_error: false,
        }
    }

    /// The result for programs.
    #[must_use]
    pub fn structured(mut self, value: impl Into<Value>) -> ToolUseResult {
        self.structured_content = Some(value.into());
        self
    }

    /// Marks it as a failure.
    #[must_use]
    pub fn failed(mut self) -> ToolUseResult {
        self.is_error = true;
        self
    }
}

impl SamplingTool {
    /// What an author may have got wrong, as a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let schema = Schema::read(&self.input_schema);
        schema
            .map(drop)
            .map_err(|problem| format!("the tool {} has an input schema that {problem}", self.name))
    }

    pub(crate) fn to_json(&self) -> Result<Value, String> {
        let schema = Schema::read(&self.input_schema)?.value;
        Ok(json!({"name": self.name, "description": self.description, "inputSchema": schema}))
    }
}
