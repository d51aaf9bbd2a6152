//! The content blocks of a tool's result and of a prompt's messages.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::mcp::message::era::Revision;
use crate::mcp::message::json;

/// One block of a result: text, image, audio, a link to a resource, or a resource itself.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    #[serde(flatten)]
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<ContentAnnotations>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind {
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

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    uri: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<String>,
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
        Kind::ResourceLink(Link { uri: uri.into(), name: name.into(), description: None, mime_type: None })
            .into()
    }

    /// A text resource inside the result.
    pub fn resource_text(
        uri: impl Into<String>,
        mime_type: impl Into<String>,
        text: impl Into<String>,
    ) -> Content {
        let (uri, mime_type) = (uri.into(), Some(mime_type.into()));
        Kind::Resource { resource: Embedded { uri, mime_type, text: Some(text.into()), blob: None } }.into()
    }

    /// A binary resource inside the result.
    pub fn resource_bytes(uri: impl Into<String>, mime_type: impl Into<String>, bytes: &[u8]) -> Content {
        let (uri, mime_type) = (uri.into(), Some(mime_type.into()));
        let blob = Some(STANDARD.encode(bytes));
        Kind::Resource { resource: Embedded { uri, mime_type, text: None, blob } }.into()
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

impl Content {
    /// Appends the block as JSON that a client of the revision can read.
    pub(crate) fn write(&self, out: &mut Vec<u8>, revision: Revision) {
        let start = out.len();
        if serde_json::to_writer(&mut *out, &*self.for_revision(revision)).is_err() {
            out.truncate(start);
            write_text(out, "(content that could not be written as JSON)");
        }
    }

    /// The text of a text block.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text { text } => Some(text),
            _ => None,
        }
    }

    /// The block as the revision knows it: what it has no block for becomes a text that names it.
    fn for_revision(&self, revision: Revision) -> Cow<'_, Content> {
        if revision >= Revision::V2025_06_18 {
            return Cow::Borrowed(self);
        }
        let kind = match &self.kind {
            Kind::ResourceLink(link) => Kind::Text { text: link.in_words().into() },
            Kind::Audio { data, mime_type } if revision < Revision::V2025_03_26 => {
                let bytes = data.len() / 4 * 3 - data.bytes().rev().take_while(|byte| *byte == b'=').count();
                Kind::Text { text: format!("[audio, {mime_type}, {bytes} bytes]").into() }
            }
            kind => kind.clone(),
        };
        let annotations = self.annotations.as_ref().and_then(|own| own.for_revision(revision));
        Cow::Owned(Content { kind, annotations, meta: None })
    }
}

impl Link {
    /// The link for clients that know no links.
    fn in_words(&self) -> String {
        let kind = self.mime_type.as_ref().map(|kind| format!(", {kind}")).unwrap_or_default();
        let about = self.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        format!("[resource {} at {}{kind}{about}]", self.name, self.uri)
    }
}

impl ContentAnnotations {
    /// Checks the annotations; the error is a sentence without its subject.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.priority {
            Some(priority) if !(0.0..=1.0).contains(&priority) => {
                Err(format!("has the priority {priority}: a priority is from 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    /// The annotations as the revision knows them: `lastModified` came with 2025-06-18.
    pub(crate) fn for_revision(&self, revision: Revision) -> Option<ContentAnnotations> {
        let last_modified = self.last_modified.clone().filter(|_| revision >= Revision::V2025_06_18);
        let known = ContentAnnotations { last_modified, ..self.clone() };
        let empty = known.audience.is_empty() && known.priority.is_none() && known.last_modified.is_none();
        (!empty).then_some(known)
    }
}

/// Appends a text block.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(br#"{"type":"text","text":"#);
    json::string(out, text);
    out.push(b'}');
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
        assert_eq!(link["mimeType"], "text/plain");
        let resource = json(Content::resource_text("test://x", "text/plain", "hi"));
        assert_eq!(resource["type"], "resource");
        assert_eq!(resource["resource"]["text"], "hi");
        assert_eq!(json(Content::resource_bytes("test://x", "a/b", b"\0"))["resource"]["blob"], "AA==");
    }

    #[test]
    fn older_clients_get_what_they_can_read() {
        let json = |content: &Content, revision| {
            let mut out = Vec::new();
            content.write(&mut out, revision);
            serde_json::from_slice::<Value>(&out).unwrap()
        };
        let text = |text: &str| serde_json::json!({"type": "text", "text": text});
        let audio = Content::audio(b"1234", "audio/wav");
        assert_eq!(json(&audio, Revision::V2025_03_26)["type"], "audio");
        assert_eq!(json(&audio, Revision::V2024_11_05), text("[audio, audio/wav, 4 bytes]"));
        let link = Content::resource_link("file:///a", "a");
        assert_eq!(json(&link, Revision::V2025_06_18)["type"], "resource_link");
        assert_eq!(json(&link, Revision::V2025_03_26), text("[resource a at file:///a]"));
        let link = link.described("An a", Some("text/plain"));
        let words = text("[resource a at file:///a, text/plain: An a]");
        assert_eq!(json(&link, Revision::V2024_11_05), words);
        let annotations = ContentAnnotations { last_modified: Some("2025".into()), ..Default::default() };
        let block = Content::text("a").with_annotations(annotations.clone()).with_meta("k", 1);
        assert_eq!(json(&block, Revision::V2025_03_26), text("a"));
        let block = block.with_annotations(ContentAnnotations { priority: Some(1.0), ..annotations });
        assert_eq!(json(&block, Revision::V2024_11_05)["annotations"], serde_json::json!({"priority": 1.0}));
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
