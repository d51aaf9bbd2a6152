//! Tools that ask the client one thing: a model's words, or a person's.
//!
//! Nothing here knows the era: before 2026-07-28 the question is a request to the client, since then the answer to the
//! call, which the client repeats with what was asked for.

use ringmesh::mcp::{CallError, Content, Context, ElicitAction, Elicitation, Elicited, Role, Sampling, Tool};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::plain::NO_PARAMETERS;

#[derive(Deserialize, schemars::JsonSchema)]
struct Prompt {
    /// The prompt to send
    prompt: String,
}

pub(crate) fn sampling() -> Tool {
    Tool::new(
        "test_sampling",
        "Requests LLM sampling from client",
        |arguments: Prompt, context: Context| async move {
            let question = Sampling::new(100).message(Role::User, Content::text(arguments.prompt));
            let sampled = context.sample("sample", question).await?;
            Ok(format!("LLM response: {}", sampled.text()))
        },
    )
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Message {
    /// The message to show
    message: String,
}

pub(crate) fn elicitation() -> Tool {
    Tool::new(
        "test_elicitation",
        "Requests user input from client",
        |arguments: Message, context: Context| async move {
            let schema = json!({
                "type": "object",
                "properties": {
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"}
                },
                "required": ["username", "email"]
            });
            let elicited = context.elicit("user", Elicitation::form(arguments.message, schema)).await?;
            Ok(format!("User response: {}", told(&elicited)))
        },
    )
}

pub(crate) fn elicitation_defaults() -> Tool {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "User name", "default": "John Doe"},
            "age": {"type": "integer", "description": "User age", "default": 30},
            "score": {"type": "number", "description": "User score", "default": 95.5},
            "status": {
                "type": "string", "description": "User status",
                "enum": ["active", "inactive", "pending"], "default": "active"
            },
            "verified": {"type": "boolean", "description": "Verification status", "default": true}
        },
        "required": []
    });
    form(
        "test_elicitation_sep1034_defaults",
        "Tests elicitation with default values (SEP-1034)",
        "Please review and update the form fields with defaults",
        schema,
    )
}

pub(crate) fn elicitation_enums() -> Tool {
    let titled = |names: [&str; 3]| {
        let values = ["value1", "value2", "value3"];
        values
            .iter()
            .zip(names)
            .map(|(value, title)| json!({"const": value, "title": title}))
            .collect::<Value>()
    };
    let plain = json!(["option1", "option2", "option3"]);
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {
                "type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"])
            },
            "legacyEnum": {
                "type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {
                "type": "array",
                "items": {"anyOf": titled(["First Choice", "Second Choice", "Third Choice"])}
            }
        },
        "required": []
    });
    form(
        "test_elicitation_sep1330_enums",
        "Tests enum schema improvements (SEP-1330)",
        "Please select options from the enum fields",
        schema,
    )
}

/// A tool that shows one form and tells what came back.
fn form(name: &str, description: &str, message: &'static str, schema: Value) -> Tool {
    Tool::raw(name, description, NO_PARAMETERS, move |_: Value, context: Context| {
        let question = Elicitation::form(message, schema.clone());
        async move {
            let elicited = context.elicit("form", question).await?;
            Ok::<_, CallError>(format!("Elicitation completed: {}", told(&elicited)))
        }
    })
}

pub(crate) fn streaming_elicitation() -> Tool {
    Tool::raw(
        "test_streaming_elicitation",
        "Returns an input_required result containing an elicitation request",
        NO_PARAMETERS,
        |_: Value, context: Context| async move {
            let question = Elicitation::form("Please confirm", flag_schema("confirmed"));
            let elicited = context.elicit("confirmation", question).await?;
            Ok::<_, CallError>(format!("Confirmation: {}", told(&elicited)))
        },
    )
}

/// The schema of a form with one required field.
pub(crate) fn field_schema(name: &str, kind: &str) -> Value {
    json!({"type": "object", "properties": {name: {"type": kind}}, "required": [name]})
}

pub(crate) fn flag_schema(name: &str) -> Value {
    field_schema(name, "boolean")
}

/// What a person did with a form, in words.
pub(crate) fn told(elicited: &Elicited) -> String {
    let action = match elicited.action {
        ElicitAction::Accept => "accept",
        ElicitAction::Decline => "decline",
        ElicitAction::Cancel => "cancel",
    };
    let content = Value::Object(elicited.content.clone().unwrap_or_default());
    format!("action={action}, content={content}")
}
