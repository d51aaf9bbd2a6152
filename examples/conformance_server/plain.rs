//! Tools that answer at once: each kind of content, an error, a schema with every keyword, a mirrored header.

use ringmesh::mcp::{CallError, Capability, Content, Context, Tool};
use serde_json::{Value, json};

use crate::media::{PNG, WAV};

/// The input schema of a tool without parameters.
pub(crate) const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// A tool without parameters that answers the same each time.
fn fixed(name: &str, description: &str, answer: impl Fn() -> Vec<Content> + Send + Sync + 'static) -> Tool {
    Tool::raw(name, description, NO_PARAMETERS, move |_: Value, _: Context| {
        let answer = answer();
        async move { Ok(answer) }
    })
}

pub(crate) fn simple_text() -> Tool {
    fixed("test_simple_text", "Returns simple text content", || {
        vec![Content::text("This is a simple text response for testing.")]
    })
}

pub(crate) fn image() -> Tool {
    fixed("test_image_content", "Returns image content", || vec![Content::image(PNG, "image/png")])
}

pub(crate) fn audio() -> Tool {
    fixed("test_audio_content", "Returns audio content", || vec![Content::audio(WAV, "audio/wav")])
}

pub(crate) fn embedded_resource() -> Tool {
    fixed("test_embedded_resource", "Returns embedded resource content", || {
        let text = "This is an embedded resource content.";
        vec![Content::resource_text("test://embedded-resource", "text/plain", text)]
    })
}

pub(crate) fn multiple_content_types() -> Tool {
    fixed("test_multiple_content_types", "Returns multiple content types", || {
        let data = r#"{"test":"data","value":123}"#;
        vec![
            Content::text("Multiple content types test:"),
            Content::image(PNG, "image/png"),
            Content::resource_text("test://mixed-content-resource", "application/json", data),
        ]
    })
}

pub(crate) fn error() -> Tool {
    Tool::raw(
        "test_error_handling",
        "Always returns an error",
        NO_PARAMETERS,
        |_: Value, _: Context| async move {
            Err::<(), _>(CallError::failed("This tool intentionally returns an error for testing"))
        },
    )
}

pub(crate) fn every_keyword() -> Tool {
    Tool::raw(
        "json_schema_2020_12_tool",
        "Tool with JSON Schema 2020-12 features",
        include_str!("every_keyword.schema.json"),
        |arguments: Value, _: Context| async move { Ok(format!("Arguments: {arguments}")) },
    )
}

pub(crate) fn custom_header() -> Tool {
    let schema = json!({
        "type": "object",
        "properties": {"value": {"type": "string", "x-mcp-header": "Value"}},
        "required": ["value"]
    });
    Tool::raw(
        "test_custom_header",
        "Validates SEP-2243 custom parameter headers",
        schema,
        |arguments: Value, _: Context| async move { Ok(format!("Value: {}", arguments["value"])) },
    )
}

pub(crate) fn missing_capability() -> Tool {
    Tool::raw(
        "test_missing_capability",
        "Requires the sampling client capability",
        NO_PARAMETERS,
        |_: Value, context: Context| async move {
            context.require(Capability::Sampling)?;
            Ok("The client declared sampling.")
        },
    )
}
