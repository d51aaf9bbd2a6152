//! What requests return. Each type keeps what the server sent whole, beside the fields it knows.

mod content;
mod prompt;
pub(crate) mod raw;
mod resource;
mod server;
mod tool;

pub use content::ContentBlock;
pub use prompt::{
    Completion, CompletionTarget, PromptArgumentDescription, PromptDescription, PromptMessage, PromptResult,
};
pub use raw::RawJson;
pub use resource::{ReadResult, ResourceContents, ResourceDescription, ResourceTemplateDescription};
pub use server::ServerDescription;
pub use tool::{ToolDescription, ToolHints, ToolResult};

#[cfg(test)]
mod tests {
    use super::raw::kept;
    use super::*;
    use serde_json::json;

    fn raw(text: &str) -> RawJson {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn schemas_and_unknown_members_are_kept_word_for_word() {
        let schema = r#"{"$schema":"x","z":1,"properties":{"a":{"$ref":"https://example.com/s","minimum":1.0}},"a":2}"#;
        let text =
            format!(r#"{{"name":"t","inputSchema":{schema},"annotations":{{"readOnlyHint":true}},"x":[1]}}"#);
        let tool: ToolDescription = kept(raw(&text)).unwrap();
        assert_eq!(tool.input_schema.get(), schema);
        assert_eq!(tool.raw.get(), text);
        assert_eq!(serde_json::to_string(&tool).unwrap(), text);
        assert!(tool.annotations.is_repeatable());
        assert!(kept::<ToolDescription>(raw(r#"{"name":"t"}"#)).is_err());
    }

    #[test]
    fn content_is_read_by_its_type_and_kept_whole() {
        let text = r#"{"content":[{"type":"text","text":"a","_meta":{"k":1}},{"type":"image","data":"AA==","mimeType":"image/png"},
            {"type":"resource","resource":{"uri":"a:b","blob":"aGk=","x":1}},{"type":"resource_link","uri":"a:c","name":"c"},
            {"type":"smell","strength":3},{"type":"text"}],"isError":true,"structuredContent":[1]}"#;
        let result: ToolResult = kept(raw(text)).unwrap();
        assert_eq!((result.text().as_str(), result.is_error), ("a", true));
        assert_eq!(result.structured_content, Some(json!([1])));
        assert_eq!(result.content[0].raw()["_meta"]["k"], 1);
        assert!(
            matches!(&result.content[1], ContentBlock::Image { mime_type, .. } if mime_type == "image/png")
        );
        let ContentBlock::Resource { resource, .. } = &result.content[2] else { panic!("{result:?}") };
        assert_eq!((resource.bytes().unwrap(), &resource.extra["x"]), (b"hi".to_vec(), &json!(1)));
        assert!(matches!(&result.content[3], ContentBlock::ResourceLink { uri, .. } if uri == "a:c"));
        assert!(result.content[4..].iter().all(|block| matches!(block, ContentBlock::Other { .. })));
    }

    #[test]
    fn servers_of_both_eras_are_described() {
        let old = r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{"subscribe":true,"listChanged":false}},
            "serverInfo":{"name":"s","version":"1"}}"#;
        let new = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},
            "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1","title":"S"}}}"#;
        let (old, new) =
            (ServerDescription::read(raw(old)).unwrap(), ServerDescription::read(raw(new)).unwrap());
        assert_eq!((&*old.name, &*old.version, new.title.as_deref()), ("s", "1", Some("S")));
        assert_eq!(
            (old.supported_versions[0].as_str(), new.supported_versions[0].as_str()),
            ("2025-11-25", "2026-07-28")
        );
        assert!(
            old.offers("resources.subscribe") && !old.offers("resources.listChanged") && !old.offers("tools")
        );
        assert!(new.offers("tools") && !new.offers("tools.listChanged"));
        assert!(ServerDescription::read(raw("[]")).is_err());
    }
}
