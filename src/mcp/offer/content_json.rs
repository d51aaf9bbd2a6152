//! Content blocks as JSON that a client of each revision can read.

use std::borrow::Cow;

use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::offer::content::{Content, ContentAnnotations, Embedded, Kind, Link};

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
        if revision >= Revision::V2025_11_25 {
            return Cow::Borrowed(self);
        }
        if revision >= Revision::V2025_06_18 {
            return match &self.kind {
                Kind::ResourceLink(link) if !link.icons.is_empty() => {
                    let kind = Kind::ResourceLink(Link { icons: Vec::new(), ..link.clone() });
                    Cow::Owned(Content { kind, ..self.clone() })
                }
                _ => Cow::Borrowed(self),
            };
        }
        let kind = match &self.kind {
            Kind::Resource { resource } => {
                Kind::Resource { resource: Embedded { meta: None, ..resource.clone() } }
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::offer::contents::Contents;
    use crate::mcp::offer::icon::Icon;
    use serde_json::Value;

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
        let with_icon = json(&link.clone().with_icon(Icon::new("data:,")), Revision::V2025_06_18);
        assert_eq!(with_icon, json(&link, Revision::V2025_11_25));
        let embedded = Content::resource("test://a", Contents::text("t").meta("k", 1));
        assert_eq!(json(&embedded, Revision::V2025_03_26)["resource"].as_object().unwrap().len(), 2);
        let link = link.described("An a", Some("text/plain"));
        let words = text("[resource a at file:///a, text/plain: An a]");
        assert_eq!(json(&link, Revision::V2024_11_05), words);
        let annotations = ContentAnnotations { last_modified: Some("2025".into()), ..Default::default() };
        let block = Content::text("a").with_annotations(annotations.clone()).with_meta("k", 1);
        assert_eq!(json(&block, Revision::V2025_03_26), text("a"));
        let block = block.with_annotations(ContentAnnotations { priority: Some(1.0), ..annotations });
        assert_eq!(json(&block, Revision::V2024_11_05)["annotations"], serde_json::json!({"priority": 1.0}));
    }
}
