//! What a list said of a tool, for the calls that follow.

use std::cell::OnceCell;

use crate::client::error::ClientError;
use crate::client::results::{RawJson, ToolDescription, ToolResult};
use crate::mcp::{HeaderParam, OutputCheck, Schema, SchemaSource, header_params};

/// A tool of the last list.
pub(crate) struct KnownTool {
    /// The parameters to mirror into headers, or why the tool must not be called.
    pub(crate) params: Result<Vec<HeaderParam>, String>,
    /// Whether a call that may have run may be made again.
    pub(crate) repeatable: bool,
    output: Option<RawJson>,
    /// Compiled at the first result that has to fit.
    check: OnceCell<Result<OutputCheck, String>>,
}

impl KnownTool {
    /// `mirrored`: parameters that the schema marks travel in headers too.
    pub(crate) fn new(tool: &ToolDescription, mirrored: bool) -> Self {
        let schema = tool
            .input_schema
            .read()
            .map_err(|error| format!("has an input schema that cannot be read: {error}"));
        let params = match schema {
            Ok(schema) if mirrored => header_params(&schema),
            read => read.map(|_| Vec::new()),
        };
        let repeatable = tool.annotations.is_repeatable();
        KnownTool { params, repeatable, output: tool.output_schema.clone(), check: OnceCell::new() }
    }

    /// Whether a result has the structured content that the tool's output schema promises. No reference is followed
    /// out of the schema.
    pub(crate) fn check(&self, result: &ToolResult) -> Result<(), ClientError> {
        let Some(schema) = self.output.as_ref().filter(|_| !result.is_error) else { return Ok(()) };
        let compile = || {
            let schema = Schema::read(&SchemaSource::from(schema.get()))?;
            OutputCheck::new(&schema)
        };
        let unusable = |why: &String| format!("the tool's output schema {why}");
        let check = self.check.get_or_init(compile).as_ref().map_err(unusable);
        let text = result.structured_content.as_ref().map(|content| content.to_string());
        check
            .and_then(|check| check.check(text.as_deref()))
            .map_err(|why| ClientError::malformed("tools/call", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::results::raw::kept;
    use serde_json::{Value, json};

    fn check(output: Value, result: Value) -> Result<(), String> {
        let raw = |value: Value| serde_json::from_value::<RawJson>(value).unwrap();
        let tool = json!({ "name": "t", "inputSchema": { "type": "object" }, "outputSchema": output });
        let known = KnownTool::new(&kept(raw(tool)).unwrap(), true);
        known.check(&kept(raw(result)).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn structured_content_must_fit_the_schema_unless_the_tool_failed() {
        let schema =
            json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
        let with = |content: Value| check(schema.clone(), json!({ "structuredContent": content }));
        assert_eq!(with(json!({ "n": 1 })), Ok(()));
        assert!(with(json!({ "n": "one" })).unwrap_err().contains("`n`"));
        assert!(check(schema.clone(), json!({})).unwrap_err().contains("no structured content"));
        assert_eq!(check(schema, json!({ "isError": true })), Ok(()));
        assert_eq!(check(Value::Null, json!({ "structuredContent": 1 })), Ok(()), "no schema, no promise");
    }

    #[test]
    fn a_schema_that_leads_elsewhere_is_an_error_and_nothing_is_fetched() {
        let schema = json!({ "properties": { "a": { "$ref": "http://127.0.0.1:9/schema" } } });
        let error = check(schema, json!({ "structuredContent": { "a": 1 } })).unwrap_err();
        assert!(error.contains("output schema is not a valid JSON Schema"), "{error}");
        let dialect = json!({ "$schema": "https://example.com/dialect" });
        assert!(check(dialect, json!({ "structuredContent": {} })).unwrap_err().contains("dialect"));
    }

    #[test]
    fn an_input_schema_that_nests_too_deep_makes_the_tool_unusable() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        let text = format!(r#"{{"name":"t","inputSchema":{deep}}}"#);
        let tool: ToolDescription = kept(serde_json::from_str(&text).unwrap()).unwrap();
        assert!(KnownTool::new(&tool, false).params.unwrap_err().contains("cannot be read"));
    }
}
