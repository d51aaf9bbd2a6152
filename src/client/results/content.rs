//! Content: what tools return and prompts say.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::resource::ResourceContents;

/// One piece of content. It serializes to what the server sent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ContentBlock {
    /// A text.
    Text {
        /// The text.
        text: String,
        /// The whole block.
        raw: Value,
    },
    /// A picture.
    Image {
        /// The data, in Base64.
        data: String,
        /// Its media type.
        mime_type: String,
        /// The whole block.
        raw: Value,
    },
    /// A sound.
    Audio {
        /// The data, in Base64.
        data: String,
        /// Its media type.
        mime_type: String,
        /// The whole block.
        raw: Value,
    },
    /// A resource that may be read.
    ResourceLink {
        /// Its address.
        uri: String,
        /// Its name.
        name: String,
        /// The whole block.
        raw: Value,
    },
    /// The contents of a resource.
    Resource {
        /// The contents.
        resource: ResourceContents,
        /// The whole block.
        raw: Value,
    },
    /// Something that this client does not know.
    Other {
        /// The whole block.
        raw: Value,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Wire {
    Text { text: String },
    Image { data: String, mime_type: String },
    Audio { data: String, mime_type: String },
    ResourceLink { uri: String, name: String },
    Resource { resource: ResourceContents },
}

impl ContentBlock {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The whole block, as the server sent it.
    pub fn raw(&self) -> &Value {
        match self {
            Self::Text { raw, .. }
            | Self::Image { raw, .. }
            | Self::Audio { raw, .. }
            | Self::ResourceLink { raw, .. }
            | Self::Resource { raw, .. }
            | Self::Other { raw } => raw,
        }
    }

    fn read(raw: Value) -> Self {
        match Wire::deserialize(&raw) {
            Ok(Wire::Text { text }) => Self::Text { text, raw },
            Ok(Wire::Image { data, mime_type }) => Self::Image { data, mime_type, raw },
            Ok(Wire::Audio { data, mime_type }) => Self::Audio { data, mime_type, raw },
            Ok(Wire::ResourceLink { uri, name }) => Self::ResourceLink { uri, name, raw },
            Ok(Wire::Resource { resource }) => Self::Resource { resource, raw },
            Err(_) => Self::Other { raw },
        }
    }
}

impl Serialize for ContentBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ContentBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::read)
    }
}
