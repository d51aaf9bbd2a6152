//! The content blocks of a tool's result and of a prompt's messages.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::mcp::offer::contents::{Body, Contents};
use crate::mcp::offer::icon::Icon;

/// One block of a result: text, image, audio, a link to a resource, or a resource itself.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    #[serde(flatten)]
    pub(super) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<ContentAnnotations>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub(super) meta: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Kind {
    Text {
        text: Cow<'static, str>,
    },
    #[serde(rename_all = "camelCase")]
    Image {
        data: String,
        mime_type: Cow<'static, str>,
    },
    #[serde(rename_all = "camelCase")]
    Audio {
        data: String,
        mime_type: Cow<'static, str>,
    },
    ResourceLink(Link),
    Resource {
        resource: Embedded,
    },
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) uri: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) icons: Vec<Icon>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Embedded {
    pub(super) uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blob: Option<String>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub(super) meta: Option<Map<String, Value>>,
}

/// Who a block is for and how much it matters.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentAnnotations {
    /// Who should see it: `user`, `assistant`, or both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<Role>,
    /// From 0 (optional) to 1 (required).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// When it last changed, as ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A reader of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Content {
    /// A text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Content {
        Kind::Text { text: text.into() }.into()
    }

    /// An image from its bytes, such as `image/png`.
    pub fn image(bytes: &[u8], mime_type: impl Into<Cow<'static, str>>) -> Content {
        Kind::Image { data: STANDARD.encode(bytes), mime_type: mime_type.into() }.into()
    }

    /// A sound from its bytes, such as `audio/wav`.
    pub fn audio(bytes: &[u8], mime_type: impl Into<Cow<'static, str>>) -> Content {
        Kind::Audio { data: STANDARD.encode(bytes), mime_type: mime_type.into() }.into()
    }

    /// A link to a resource that the client may read.
    pub fn resource_link(uri: impl Into<String>, name: impl Into<String>) -> Content {
        Kind::ResourceLink(Link { uri: uri.into(), name: name.into(), ..Link::default() }).into()
    }

    /// The contents of a resource inside the result, under this URI unless they name their own.
    pub fn resource(uri: impl Into<String>, contents: Contents) -> Content {
        let Contents { body, uri: own, mime_type, meta } = contents;
        let (text, blob) = match body {
            Body::Text(text) => (Some(text.into_owned()), None),
            Body::Bytes(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        let uri = own.unwrap_or_else(|| uri.into());
        Kind::Resource { resource: Embedded { uri, mime_type, text, blob, meta } }.into()
    }

    /// A text resource inside the result.
    pub fn resource_text(
        uri: impl Into<String>,
        mime_type: impl Into<String>,
        text: impl Into<String>,
    ) -> Content {
        Content::resource(uri, Contents::text(text.into()).mime_type(mime_type))
    }

    /// A binary resource inside the result.
    pub fn resource_bytes(uri: impl Into<String>, mime_type: impl Into<String>, bytes: &[u8]) -> Content {
        Content::resource(uri, Contents::bytes(bytes).mime_type(mime_type))
    }

    /// Describes a resource link; other blocks have no description and stay as they are.
    #[must_use]
    pub fn described(mut self, text: impl Into<String>, link_mime_type: Option<&str>) -> Content {
        if let Kind::ResourceLink(link) = &mut self.kind {
            link.description = Some(text.into());
            link.mime_type = link_mime_type.map(str::to_owned);
        }
        self
    }

    /// Gives a resource link a name for people; other blocks stay as they are, as with the next two.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Content {
        if let Kind::ResourceLink(link) = &mut self.kind {
            link.title = Some(title.into());
        }
        self
    }

    /// Says how large a linked resource is, in bytes before any encoding.
    #[must_use]
    pub fn sized(mut self, bytes: u64) -> Content {
        if let Kind::ResourceLink(link) = &mut self.kind {
            link.size = Some(bytes);
        }
        self
    }

    /// Adds an icon to a resource link, told to clients of 2025-11-25 and later.
    #[must_use]
    pub fn with_icon(mut self, icon: Icon) -> Content {
        if let Kind::ResourceLink(link) = &mut self.kind {
            link.icons.push(icon);
        }
        self
    }

    /// Says who the block is for and how much it matters.
    #[must_use]
    pub fn with_annotations(mut self, annotations: ContentAnnotations) -> Content {
        self.annotations = Some(annotations);
        self
    }

    /// Adds an entry to the block's `_meta`.
    #[must_use]
    pub fn with_meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Content {
        self.meta.get_or_insert_default().insert(key.into(), value.into());
        self
    }
}

impl From<Kind> for Content {
    fn from(kind: Kind) -> Self {
        Content { kind, annotations: None, meta: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_shape_of_the_specification() {
        let json = |content: Content| serde_json::to_value(content).unwrap();
        assert_eq!(json(Content::text("a")), serde_json::json!({"type": "text", "text": "a"}));
        let image = json(Content::image(b"\x01\x02", "image/png"));
        assert_eq!(image, serde_json::json!({"type": "image", "data": "AQI=", "mimeType": "image/png"}));
        assert_eq!(json(Content::audio(b"", "audio/wav"))["type"], "audio");
        let link = json(Content::resource_link("file:///a", "a").described("An a", Some("text/plain")));
        assert_eq!(link["type"], "resource_link");
        let full =
            Content::resource_link("file:///a", "a").titled("A").sized(7).with_icon(Icon::new("data:,"));
        let expected = serde_json::json!({"type": "resource_link", "uri": "file:///a", "name": "a", "title": "A",
            "size": 7, "icons": [{"src": "data:,"}]});
        assert_eq!(json(full), expected);
        let own = Contents::text("t").uri("test://own").meta("k", 1);
        let expected = serde_json::json!({"uri": "test://own", "text": "t", "_meta": {"k": 1}});
        assert_eq!(json(Content::resource("test://other", own))["resource"], expected);
        assert_eq!(link["mimeType"], "text/plain");
        let resource = json(Content::resource_text("test://x", "text/plain", "hi"));
        assert_eq!(resource["type"], "resource");
        assert_eq!(resource["resource"]["text"], "hi");
        assert_eq!(json(Content::resource_bytes("test://x", "a/b", b"\0"))["resource"]["blob"], "AA==");
    }

    #[test]
    fn annotations_and_meta_are_carried() {
        let annotations =
            ContentAnnotations { audience: vec![Role::User], priority: Some(0.5), last_modified: None };
        let block = Content::text("a").with_annotations(annotations).with_meta("k", 1);
        let json = serde_json::to_value(block).unwrap();
        assert_eq!(json["annotations"], serde_json::json!({"audience": ["user"], "priority": 0.5}));
        assert_eq!(json["_meta"]["k"], 1);
    }
}
