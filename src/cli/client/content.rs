//! What tools return, resources hold and prompts say, for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::save::Directory;
use super::text::{View, line};
use crate::client::{ContentBlock, PromptResult, ReadResult, ResourceContents, ToolResult};

/// Shows content, and saves what is no text where that was asked for.
pub(super) struct Shower<'a> {
    pub(super) view: View,
    pub(super) save: Option<&'a Directory>,
    /// A file that could not be written, or bytes that could not be read.
    pub(super) faults: Vec<String>,
}

impl Shower<'_> {
    /// The texts, and a line for each thing that is none. A result without content shows its value.
    pub(super) fn tool_result(&mut self, result: &ToolResult) -> String {
        let mut out = String::new();
        for block in &result.content {
            self.block(&mut out, block);
        }
        match &result.structured_content {
            Some(value) if result.content.is_empty() => {
                let text = serde_json::to_string_pretty(value).unwrap_or_default();
                push_text(&mut out, &self.view.plain(&text));
            }
            _ => {}
        }
        out
    }

    /// A lone text that goes into a file or a pipe stays exactly what it is.
    pub(super) fn read_result(&mut self, result: &ReadResult) -> String {
        if let [ResourceContents { text: Some(text), .. }] = &result.contents[..]
            && !self.view.escape
        {
            return text.clone();
        }
        let mut out = String::new();
        for contents in &result.contents {
            self.contents(&mut out, contents);
        }
        out
    }

    /// Who speaks stands before what is said.
    pub(super) fn prompt_result(&mut self, result: &PromptResult) -> String {
        let mut out = String::new();
        if let Some(description) = result.description.as_ref().filter(|text| !text.trim().is_empty()) {
            push_text(&mut out, &format!("# {}", line(description)));
        }
        for message in &result.messages {
            push_text(&mut out, &format!("[{}]", line(&message.role)));
            self.block(&mut out, &message.content);
        }
        out
    }

    fn block(&mut self, out: &mut String, block: &ContentBlock) {
        match block {
            ContentBlock::Text { text, .. } => push_text(out, &self.view.plain(text)),
            ContentBlock::Image { data, mime_type, .. } => self.base64(out, "image", mime_type, data),
            ContentBlock::Audio { data, mime_type, .. } => self.base64(out, "audio", mime_type, data),
            ContentBlock::ResourceLink { uri, name, .. } => {
                push_text(out, &format!("[resource {}: {}]", line(uri), line(name)));
            }
            ContentBlock::Resource { resource, .. } => {
                push_text(out, &format!("[resource {}]", line(&resource.uri)));
                self.contents(out, resource);
            }
            ContentBlock::Other { raw } => push_text(out, &self.view.plain(&raw.to_string())),
            #[allow(unreachable_patterns, reason = "the kinds of content may become more")]
            other => push_text(out, &self.view.plain(&other.raw().to_string())),
        }
    }

    fn contents(&mut self, out: &mut String, contents: &ResourceContents) {
        let mime_type = contents.mime_type.as_deref().unwrap_or("application/octet-stream");
        match (&contents.text, &contents.blob) {
            (Some(text), _) => push_text(out, &self.view.plain(text)),
            (None, Some(blob)) => self.base64(out, "resource", mime_type, blob),
            (None, None) => {}
        }
    }

    fn base64(&mut self, out: &mut String, kind: &str, mime_type: &str, data: &str) {
        let Ok(bytes) = STANDARD.decode(data) else {
            self.faults.push(format!("the {kind} of the server is not Base64"));
            return;
        };
        let what = format!("{kind} {}, {} bytes", line(mime_type), bytes.len());
        let Some(save) = self.save else {
            push_text(out, &format!("[{what}; --save DIR writes it to a file]"));
            return;
        };
        match save.save(kind, mime_type, &bytes) {
            Ok(path) => push_text(out, &format!("[{what}, saved to {}]", path.display())),
            Err(error) => {
                self.faults.push(format!("cannot save the {kind} in {}: {error}", save.path().display()));
            }
        }
    }
}

/// A text, and the end of its last line.
fn push_text(out: &mut String, text: &str) {
    out.push_str(text);
    if !text.ends_with('\n') {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PIPE: View = View { width: None, escape: false };

    fn shown(result: serde_json::Value, save: Option<&Directory>) -> (String, Vec<String>) {
        let result: ToolResult = serde_json::from_value(result).unwrap();
        let mut shower = Shower { view: PIPE, save, faults: Vec::new() };
        let text = shower.tool_result(&result);
        (text, shower.faults)
    }

    #[test]
    fn texts_are_plain_and_other_things_a_line_each() {
        let content = json!([
            { "type": "text", "text": "a\nb\n" },
            { "type": "image", "data": "aGk=", "mimeType": "image/png" },
            { "type": "resource_link", "uri": "test://a", "name": "A" },
            { "type": "resource", "resource": { "uri": "test://b", "text": "inside" } },
            { "type": "smell", "strength": 1 },
        ]);
        let (text, faults) = shown(json!({ "content": content, "structuredContent": { "x": 1 } }), None);
        let expected = "a\nb\n[image image/png, 2 bytes; --save DIR writes it to a file]\n[resource test://a: A]\n\
             [resource test://b]\ninside\n{\"strength\":1,\"type\":\"smell\"}\n";
        assert_eq!((text.as_str(), faults.len()), (expected, 0));
        let (text, _) = shown(json!({ "content": [], "structuredContent": { "x": 1 } }), None);
        assert_eq!(text, "{\n  \"x\": 1\n}\n");
    }

    #[test]
    fn bytes_are_saved_where_that_was_asked_for_and_faults_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let save = Directory(directory.path().to_owned());
        let image =
            |data: &str| json!({ "content": [{ "type": "image", "data": data, "mimeType": "image/png" }] });
        let (text, faults) = shown(image("aGk="), Some(&save));
        assert!(text.contains("saved to") && faults.is_empty(), "{text}");
        assert_eq!(std::fs::read(directory.path().join("image-1.png")).unwrap(), b"hi");
        assert_eq!(shown(image("***"), Some(&save)).1, ["the image of the server is not Base64"]);
    }
}
