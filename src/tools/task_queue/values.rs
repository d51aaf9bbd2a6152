//! Types of arguments that are not plain: any JSON, one text or several, maps of texts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Any JSON value, as it was written.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::tools) struct AnyJson(Box<RawValue>);

impl AnyJson {
    /// The JSON text.
    pub(in crate::tools) fn text(&self) -> &str {
        self.0.get()
    }
}

impl JsonSchema for AnyJson {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyJson".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

/// A JSON object, whatever its members.
pub(super) type AnyObject = BTreeMap<String, AnyJson>;

/// One text, or a list of them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum TextOrList {
    Text(String),
    List(Vec<String>),
}

impl JsonSchema for TextOrList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TextOrList".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

/// A value that stands for a text; it is sent as one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Textual {
    Text(String),
    Number(serde_json::Number),
    Flag(bool),
}

impl Textual {
    /// The text, as the clients that exist write numbers and flags.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Textual::Text(text) => Cow::Borrowed(text),
            Textual::Number(number) => Cow::Owned(number.to_string()),
            Textual::Flag(true) => Cow::Borrowed("True"),
            Textual::Flag(false) => Cow::Borrowed("False"),
        }
    }
}

impl JsonSchema for Textual {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Textual".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// Names and their texts.
pub(super) type TextMap = BTreeMap<String, Textual>;

/// The map as JSON values that are all texts.
pub(super) fn texts(map: &TextMap) -> BTreeMap<&str, Cow<'_, str>> {
    map.iter().map(|(name, value)| (name.as_str(), value.text())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]
    use super::*;

    #[test]
    fn any_value_is_kept_as_it_was_written() {
        let list: Vec<AnyJson> = serde_json::from_str(r#"[ {"b": 1.50, "a":null}, null, "x" ]"#).unwrap();
        let texts: Vec<_> = list.iter().map(AnyJson::text).collect();
        assert_eq!(texts, [r#"{"b": 1.50, "a":null}"#, "null", r#""x""#]);
    }

    #[test]
    fn numbers_and_flags_become_texts() {
        let map: TextMap = serde_json::from_str(r#"{"a":"x","b":8080,"c":true,"d":1.5}"#).unwrap();
        let texts: Vec<_> = map.values().map(Textual::text).collect();
        assert_eq!(texts, ["x", "8080", "True", "1.5"]);
        assert!(serde_json::from_str::<TextMap>(r#"{"a":[1]}"#).is_err());
        assert!(serde_json::from_str::<TextMap>(r#"{"a":null}"#).is_err());
    }
}
