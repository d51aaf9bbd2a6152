//! What the server declares that it can do, and which methods follow from that.

use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::message::method::MethodKind;
use crate::mcp::offer::item::ItemKind;

/// What there is something of. It only ever grows: what was declared to a client stays served, if with empty lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    pub(crate) prompts: bool,
    pub(crate) completions: bool,
}

impl Offered {
    /// Everything that can be added while the server runs.
    pub(crate) const ALL: Offered =
        Offered { tools: true, resources: true, prompts: true, completions: true };

    /// The same, and what a thing of this kind is one of.
    pub(crate) fn and(mut self, kind: ItemKind, completes: bool) -> Offered {
        match kind {
            ItemKind::Tool => self.tools = true,
            ItemKind::Resource | ItemKind::Template => self.resources = true,
            ItemKind::Prompt => self.prompts = true,
        }
        self.completions |= completes;
        self
    }

    /// Log messages come from handlers, so there are some where there is anything to call.
    fn logging(self) -> bool {
        self.tools || self.resources || self.prompts
    }

    /// Whether a request of this method is served; true for methods that need nothing on offer.
    pub(crate) fn serves(self, method: MethodKind) -> bool {
        match method {
            MethodKind::ToolsList | MethodKind::ToolsCall => self.tools,
            MethodKind::ResourcesList
            | MethodKind::ResourcesTemplatesList
            | MethodKind::ResourcesRead
            | MethodKind::ResourcesSubscribe
            | MethodKind::ResourcesUnsubscribe => self.resources,
            MethodKind::PromptsList | MethodKind::PromptsGet => self.prompts,
            MethodKind::CompletionComplete => self.completions,
            MethodKind::LoggingSetLevel => self.logging(),
            _ => true,
        }
    }

    /// The `ServerCapabilities` object for a client of the revision, as JSON text.
    ///
    /// Every list can change while the server runs, and every revision has a stream that tells of it, so
    /// `listChanged` goes with the list; so does `subscribe` with resources.
    pub(crate) fn to_json(self, revision: Revision) -> String {
        const CHANGES: &str = r#"{"listChanged":true}"#;
        json::object(|object| {
            if self.logging() {
                object.raw("logging", "{}");
            }
            // 2024-11-05 has completion and no name for the capability.
            if self.completions && revision >= Revision::V2025_03_26 {
                object.raw("completions", "{}");
            }
            if self.prompts {
                object.raw("prompts", CHANGES);
            }
            if self.resources {
                object.raw("resources", r#"{"subscribe":true,"listChanged":true}"#);
            }
            if self.tools {
                object.raw("tools", CHANGES);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_what_is_offered() {
        let none = Offered::default();
        assert_eq!(none.to_json(Revision::V2026_07_28), "{}");
        assert!(!none.serves(MethodKind::ToolsList) && !none.serves(MethodKind::LoggingSetLevel));
        assert!(none.serves(MethodKind::Ping));
        let tools = Offered { tools: true, ..none };
        assert_eq!(tools.to_json(Revision::V2025_11_25), r#"{"logging":{},"tools":{"listChanged":true}}"#);
        assert!(tools.serves(MethodKind::ToolsCall) && !tools.serves(MethodKind::PromptsList));
        let all = Offered::ALL.to_json(Revision::V2025_03_26);
        assert!(all.contains(r#""completions":{}"#) && all.contains(r#""subscribe":true"#), "{all}");
        assert!(!Offered::ALL.to_json(Revision::V2024_11_05).contains("completions"));
    }
}
