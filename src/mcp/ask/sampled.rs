//! What the client's model said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The answer to a [`Sampling`](crate::mcp::Sampling). It comes from a model: treat it as untrusted text.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// The name of the model that answered.
    pub model: String,
    /// Why it stopped, such as `endTurn`, `maxTokens`, `stopSequence` or `toolUse`.
    pub stop_reason: Option<String>,
    /// What it said, in order; at least one block.
    pub content: Vec<SampledContent>,
    /// `content` as it came.
    raw: Value,
}

/// One block of a model's answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SampledContent {
    /// A text.
    Text(String),
    /// An image.
    Image {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its media type.
        mime_type: String,
    },
    /// A sound.
    Audio {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its media type.
        mime_type: String,
    },
    /// The model wants to use one of the tools it was offered.
    ToolUse {
        /// Names this use; its result refers to it.
        id: String,
        /// The tool.
        name: String,
        /// The arguments, which nobody has validated.
        input: Map<String, Value>,
    },
    /// A block of a type that this version does not know.
    Other(Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    role: String,
    model: String,
    #[serde(default)]
    stop_reason: Option<String>,
    content: Value,
}

impl Sampled {
    /// Reads a `CreateMessageResult`; the error is a sentence about it.
    pub(crate) fn parse(raw: &str) -> Result<Sampled, String> {
        let wire: Wire = serde_json::from_str(raw).map_err(|error| format!("it is malformed: {error}"))?;
        if !matches!(wire.role.as_str(), "assistant" | "user") {
            return Err("its role is neither user nor assistant".to_owned());
        }
        let blocks = match &wire.content {
            Value::Array(blocks) => blocks.as_slice(),
            one => std::slice::from_ref(one),
        };
        let content: Result<Vec<_>, String> = blocks.iter().map(SampledContent::read).collect();
        let content = content?;
        if content.is_empty() {
            return Err("its content is empty".to_owned());
        }
        Ok(Sampled { model: wire.model, stop_reason: wire.stop_reason, content, raw: wire.content })
    }

    /// The texts, one after the other; empty where there are none.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|block| match block {
            SampledContent::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The uses of tools that the model wants: id, name, arguments.
    pub fn tool_uses(&self) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
        self.content.iter().filter_map(|block| match block {
            SampledContent::ToolUse { id, name, input } => Some((id.as_str(), name.as_str(), input)),
            _ => None,
        })
    }

    pub(crate) fn raw_content(&self) -> &Value {
        &self.raw
    }
}

impl SampledContent {
    fn read(block: &Value) -> Result<SampledContent, String> {
        let kind = block.get("type").and_then(Value::as_str).ok_or("a content block has no type")?;
        let text = |key: &str| {
            let value = block.get(key).and_then(Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("a content block of type {kind} has no text {key}"))
        };
        let bytes = || {
            let data = STANDARD.decode(text("data")?);
            data.map_err(|_| format!("the data of a content block of type {kind} is not base64"))
        };
        Ok(match kind {
            "text" => SampledContent::Text(text("text")?),
            "image" => SampledContent::Image { bytes: bytes()?, mime_type: text("mimeType")? },
            "audio" => SampledContent::Audio { bytes: bytes()?, mime_type: text("mimeType")? },
            "tool_use" => SampledContent::ToolUse {
                id: text("id")?,
                name: text("name")?,
                input: block
                    .get("input")
                    .and_then(Value::as_object)
                    .cloned()
                    .ok_or("the input of a tool_use block is no object")?,
            },
            _ => SampledContent::Other(block.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(content: Value) -> Result<Sampled, String> {
        Sampled::parse(&json!({"role": "assistant", "model": "m", "content": content}).to_string())
    }

    #[test]
    fn one_block_and_several_are_read() {
        let one = parse(json!({"type": "text", "text": "Paris"})).unwrap();
        assert_eq!((one.text().as_str(), one.model.as_str(), one.stop_reason), ("Paris", "m", None));
        let many = parse(json!([
            {"type": "text", "text": "a"}, {"type": "image", "data": "AQI=", "mimeType": "image/png"},
            {"type": "tool_use", "id": "1", "name": "t", "input": {"x": 1}}, {"type": "new", "y": 2}
        ]))
        .unwrap();
        assert_eq!(
            many.content[1],
            SampledContent::Image { bytes: vec![1, 2], mime_type: "image/png".into() }
        );
        assert_eq!(many.tool_uses().map(|(id, name, _)| (id, name)).collect::<Vec<_>>(), [("1", "t")]);
        assert!(matches!(many.content[3], SampledContent::Other(_)));
    }

    #[test]
    fn malformed_answers_are_refused() {
        assert!(parse(json!([])).is_err());
        assert!(parse(json!("text")).is_err());
        assert!(parse(json!({"type": "text"})).is_err());
        assert!(
            parse(json!({"type": "audio", "data": "?", "mimeType": "a/b"})).unwrap_err().contains("base64")
        );
        assert!(parse(json!({"type": "tool_use", "id": "1", "name": "t", "input": 3})).is_err());
        assert!(Sampled::parse(r#"{"role":"assistant","content":{"type":"text","text":"x"}}"#).is_err());
        assert!(
            Sampled::parse(r#"{"role":"system","model":"m","content":{"type":"text","text":"x"}}"#).is_err()
        );
    }
}
