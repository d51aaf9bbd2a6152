//! JSON Schemas of tools: read once at registration, bounded, kept word for word, never fetched.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::mcp::message::scan::{ScanError, Scanner};

/// The largest schema that is taken, in bytes of JSON text.
pub const MAX_SCHEMA_BYTES: usize = 256 << 10;
/// The deepest schema that is taken, in nested arrays and objects.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// The dialects that are understood; without `$schema` a schema is 2020-12.
const DIALECTS: [&str; 3] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
];

/// Steps that a pattern with look-around may take before the value counts as not matching.
const PATTERN_STEPS: usize = 100_000;

/// Where a schema comes from: JSON text, which is kept word for word, or a value.
///
/// The dialects 2020-12 (which it is without `$schema`), 2019-09 and draft-07 are understood; a schema in another one
/// is refused at registration. A `$ref` must lead into the schema itself: nothing is ever fetched.
#[derive(Debug, Clone)]
pub struct SchemaSource(String);

impl From<&str> for SchemaSource {
    fn from(text: &str) -> Self {
        SchemaSource(text.to_owned())
    }
}

impl From<String> for SchemaSource {
    fn from(text: String) -> Self {
        SchemaSource(text)
    }
}

impl From<Value> for SchemaSource {
    fn from(value: Value) -> Self {
        SchemaSource(value.to_string())
    }
}

/// A schema that was read and is within bounds.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    /// The schema as it goes out, on one line.
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Schema {
    /// Reads a schema; the error is a sentence without a subject.
    pub(crate) fn read(source: &SchemaSource) -> Result<Schema, String> {
        let source = source.0.trim();
        if source.len() > MAX_SCHEMA_BYTES {
            return Err(format!("has {} bytes; at most {MAX_SCHEMA_BYTES} are allowed", source.len()));
        }
        let mut scanner = Scanner::new(source, MAX_SCHEMA_DEPTH);
        if scanner.value().is_none() && scanner.error() == ScanError::Depth {
            return Err(format!("nests deeper than {MAX_SCHEMA_DEPTH}"));
        }
        let value: Value = serde_json::from_str(source).map_err(|error| format!("is not JSON: {error}"))?;
        let Value::Object(object) = &value else { return Err("must be a JSON object".to_owned()) };
        match object.get("$schema") {
            None => {}
            Some(Value::String(dialect)) if DIALECTS.contains(&dialect.trim_end_matches('#')) => {}
            Some(other) => {
                return Err(format!(
                    "names the dialect {other}, which is not supported; use {}",
                    DIALECTS.join(", ")
                ));
            }
        }
        let mut text = Vec::with_capacity(source.len());
        crate::mcp::message::json::raw(&mut text, source);
        let text = String::from_utf8(text).expect("invariant: line breaks became spaces in UTF-8 text");
        Ok(Schema { text, value })
    }

    /// True when the root allows objects only.
    pub(crate) fn is_object(&self) -> bool {
        self.value.get("type").is_some_and(|kind| kind == "object")
    }

    /// The validator for this schema.
    pub(crate) fn compile(&self) -> Result<Validator, String> {
        compile(&self.value)
    }
}

/// Compiles a schema: it must be valid in its dialect, and each reference must lead into the schema itself.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::fancy_regex().backtrack_limit(PATTERN_STEPS);
    jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| format!("is not a valid JSON Schema: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(source: impl Into<SchemaSource>) -> Result<Schema, String> {
        Schema::read(&source.into())
    }

    #[test]
    fn text_is_kept_word_for_word_on_one_line() {
        let schema = read("{ \"type\":\"object\",\n \"$defs\": {\"z\":{},\"a\":{}} }").unwrap();
        assert_eq!(schema.text, "{ \"type\":\"object\",  \"$defs\": {\"z\":{},\"a\":{}} }");
        assert!(schema.is_object());
    }

    #[test]
    fn dialects_are_checked() {
        for dialect in
            ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"]
        {
            read(json!({"$schema": dialect, "type": "object"})).unwrap().compile().unwrap();
        }
        let error = read(json!({"$schema": "http://json-schema.org/draft-03/schema#"})).unwrap_err();
        assert!(error.contains("draft-03") && error.contains("2020-12"), "{error}");
        assert!(read(json!({"$schema": 7})).is_err());
    }

    #[test]
    fn size_depth_and_shape_are_bounded() {
        assert!(read("[]").unwrap_err().contains("object"));
        assert!(read("{").unwrap_err().contains("JSON"));
        let deep = format!("{}{}", "{\"a\":".repeat(70), "1}".to_owned() + &"}".repeat(69));
        assert!(read(deep).unwrap_err().contains("deeper"));
        let wide = format!("{{\"description\":\"{}\"}}", "x".repeat(MAX_SCHEMA_BYTES));
        assert!(read(wide).unwrap_err().contains("bytes"));
    }

    #[test]
    fn network_references_are_refused_and_local_ones_followed() {
        let remote =
            read(json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/x.json"}}}));
        assert!(remote.unwrap().compile().is_err());
        let file = read(json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}));
        assert!(file.unwrap().compile().is_err());
        let local = json!({"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}});
        let validator = read(local).unwrap().compile().unwrap();
        assert!(validator.is_valid(&json!({"a": 1})) && !validator.is_valid(&json!({"a": "x"})));
    }

    #[test]
    fn invalid_schemas_are_refused() {
        assert!(read(json!({"type": "objekt"})).unwrap().compile().is_err());
        assert!(read(json!({"pattern": "("})).unwrap().compile().is_err());
    }

    #[test]
    fn a_costly_pattern_is_cut_off() {
        let validator = read(json!({"pattern": "^(?=(a+)+$)(a+)+b$"})).unwrap().compile().unwrap();
        let begin = std::time::Instant::now();
        assert!(!validator.is_valid(&json!("a".repeat(40))));
        assert!(begin.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        for schema in [
            json!({"type": "object", "$ref": "#"}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}),
        ] {
            if let Ok(validator) = read(schema).unwrap().compile() {
                let _ = validator.is_valid(&json!({}));
            }
        }
        let tree = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["v"]});
        let validator = read(tree).unwrap().compile().unwrap();
        assert!(validator.is_valid(&json!({"v": 1, "next": {"v": 2}})));
        assert!(!validator.is_valid(&json!({"v": 1, "next": {}})));
    }
}
