//! The tags of workflow tasks: which of them say that a task may leave the hosted runners.

use serde::Serialize;

/// The tags that mean something, in their proper spelling.
pub const KNOWN_TAGS: [&str; 7] = [
    "github-api",
    "p2p-eligible",
    "p2p-only",
    "unit-test",
    "code-generation",
    "web-scraping",
    "data-processing",
];

/// A tag in its proper spelling: `P2P_ONLY` is `p2p-only`. A tag that is not known stays as it is written.
pub fn proper_tag(tag: &str) -> Box<str> {
    let spelled = tag.trim().to_ascii_lowercase().replace('_', "-");
    let known = KNOWN_TAGS.iter().find(|known| **known == spelled);
    known.map_or_else(|| tag.into(), |known| (*known).into())
}

/// The tags among these that are not known, as they are written.
pub fn unknown_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Vec<Box<str>> {
    let unknown = tags.into_iter().filter(|tag| !KNOWN_TAGS.contains(&&*proper_tag(tag)));
    unknown.map(Box::from).collect()
}

/// What the tags of a workflow ask for: the answer of `p2p_check_workflow_tags`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagCheck {
    /// Always true: any tags can be checked.
    pub success: bool,
    /// Whether peers may or must do it: `p2p-only` or `p2p-eligible` is there.
    pub should_bypass_github: bool,
    /// Whether only peers may do it.
    pub is_p2p_only: bool,
    /// The tags in their proper spelling.
    pub tags: Vec<Box<str>>,
    /// Tags that mean nothing here, as they were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_tags: Vec<Box<str>>,
}

impl TagCheck {
    /// Reads the tags.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a str> + Clone) -> TagCheck {
        let unknown_tags = unknown_tags(tags.clone());
        let tags: Vec<Box<str>> = tags.into_iter().map(proper_tag).collect();
        let has = |name: &str| tags.iter().any(|tag| &**tag == name);
        let is_p2p_only = has("p2p-only");
        let should_bypass_github = is_p2p_only || has("p2p-eligible");
        TagCheck { success: true, should_bypass_github, is_p2p_only, tags, unknown_tags }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn the_golden_values_hold() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/scheduler.json")).unwrap();
        for row in golden["tags"].as_array().unwrap() {
            let tags: Vec<_> =
                row["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
            let check = serde_json::to_value(TagCheck::of(tags.iter().copied())).unwrap();
            for field in ["should_bypass_github", "is_p2p_only", "tags"] {
                assert_eq!(check[field], row[field], "{row}");
            }
            assert!(check.get("unknown_tags").is_none());
        }
    }

    #[test]
    fn other_spellings_are_the_same_tag_and_unknown_tags_are_named() {
        let check = TagCheck::of(["P2P_ONLY", "Unit-Test", "My_Own"]);
        assert!(check.is_p2p_only && check.should_bypass_github);
        assert_eq!(check.tags, ["p2p-only".into(), "unit-test".into(), Box::from("My_Own")]);
        assert_eq!(check.unknown_tags, [Box::from("My_Own")]);
    }
}
