//! What a tool answers: content for people and models, and structured content for programs.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::mcp::message::json;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::content::Content;

/// The result of a tool call.
///
/// A `String` or `&str` becomes one text, [`Json`] becomes structured content with a copy as text; a `Reply` is for
/// everything else.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) body: Body,
    /// JSON text on one line.
    pub(crate) structured: Option<String>,
    pub(crate) is_error: bool,
    pub(crate) meta: Option<Box<Map<String, Value>>>,
}

/// The `content` of a reply.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// One text.
    Text(Cow<'static, str>),
    /// The structured content once more, as text.
    StructuredCopy,
    /// Any blocks.
    Blocks(Vec<Content>),
}

impl Reply {
    /// One text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { body: Body::Text(text.into()), structured: None, is_error: false, meta: None }
    }

    /// Any content blocks, in order.
    pub fn blocks(blocks: impl IntoIterator<Item = Content>) -> Reply {
        let body = Body::Blocks(blocks.into_iter().collect());
        Reply { body, structured: None, is_error: false, meta: None }
    }

    /// Structured content: any value that can be written as JSON, with the same JSON as text for clients that read
    /// only that.
    ///
    /// # Errors
    /// A value that cannot be written as JSON, such as a map with keys that are no strings, is an internal error.
    pub fn structured<T: Serialize + ?Sized>(value: &T) -> Result<Reply, CallError> {
        let json = json::line(value).map_err(|error| CallError::internal(format!("result: {error}")))?;
        Ok(Reply::structured_text(json))
    }

    /// Structured content that is JSON text already, on one line, with the same as text.
    pub(crate) fn structured_text(json: String) -> Reply {
        Reply { body: Body::StructuredCopy, structured: Some(json), is_error: false, meta: None }
    }

    /// Replaces the content, for example to accompany structured content with a sentence of its own.
    #[must_use]
    pub fn with_blocks(mut self, blocks: impl IntoIterator<Item = Content>) -> Reply {
        self.body = Body::Blocks(blocks.into_iter().collect());
        self
    }

    /// The texts of the reply, for where only a sentence can be sent.
    pub(crate) fn texts(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Text(text) => Cow::Borrowed(text),
            Body::StructuredCopy => Cow::Borrowed(self.structured.as_deref().unwrap_or_default()),
            Body::Blocks(blocks) => {
                blocks.iter().filter_map(Content::as_text).collect::<Vec<_>>().join("\n").into()
            }
        }
    }

    /// Marks the reply as a failure that the model should see: `isError` becomes true.
    #[must_use]
    pub fn failed(mut self) -> Reply {
        self.is_error = true;
        self
    }

    /// Adds an entry to the result's `_meta`.
    #[must_use]
    pub fn with_meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Reply {
        self.meta.get_or_insert_default().insert(key.into(), value.into());
        self
    }
}

/// What a tool's handler may return.
pub trait IntoReply {
    /// The JSON Schema of the structured content, where the type declares one.
    fn output_schema() -> Option<Value> {
        None
    }

    /// The result to send.
    ///
    /// # Errors
    /// A value that cannot be written as JSON is an internal error.
    fn into_reply(self) -> Result<Reply, CallError>;
}

/// A serialisable result: becomes the tool's `outputSchema`, its `structuredContent`, and the same JSON as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + JsonSchema> IntoReply for Json<T> {
    fn output_schema() -> Option<Value> {
        let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
        Some(generator.into_root_schema_for::<T>().to_value())
    }

    fn into_reply(self) -> Result<Reply, CallError> {
        Reply::structured(&self.0)
    }
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply, CallError> {
        Ok(self)
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Result<Reply, CallError> {
        Ok(Reply::text(self))
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> Result<Reply, CallError> {
        Ok(Reply::text(self))
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Result<Reply, CallError> {
        Ok(Reply::blocks([]))
    }
}

impl IntoReply for Content {
    fn into_reply(self) -> Result<Reply, CallError> {
        Ok(Reply::blocks([self]))
    }
}

impl IntoReply for Vec<Content> {
    fn into_reply(self) -> Result<Reply, CallError> {
        Ok(Reply::blocks(self))
    }
}

impl IntoReply for Value {
    fn into_reply(self) -> Result<Reply, CallError> {
        Reply::structured(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_brings_its_schema() {
        #[derive(Serialize, JsonSchema)]
        struct Sum {
            sum: i64,
        }
        let schema = <Json<Sum> as IntoReply>::output_schema().unwrap();
        assert_eq!(schema["properties"]["sum"]["type"], "integer");
        let reply = Json(Sum { sum: 3 }).into_reply().unwrap();
        assert_eq!(reply.structured.as_deref(), Some(r#"{"sum":3}"#));
        assert!(<String as IntoReply>::output_schema().is_none());
    }

    #[test]
    fn what_cannot_be_json_is_an_error() {
        let map = std::collections::HashMap::from([(vec![1], 2)]);
        assert!(Reply::structured(&map).is_err());
    }
}
