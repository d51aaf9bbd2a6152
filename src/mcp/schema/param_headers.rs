//! `x-mcp-header`: parameters of a tool that clients mirror into `Mcp-Param-*` headers.

use serde_json::{Map, Value};

use crate::mcp::message::head::HeaderLookup;
use crate::mcp::message::headers::{malformed, mirrored_value, mismatch, missing};

const KEYWORD: &str = "x-mcp-header";

/// Keywords whose value is one schema that `x-mcp-header` must not be under.
const ONE_SCHEMA: [&str; 11] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
];
/// Keywords whose value is a list of schemas.
const SCHEMA_LISTS: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords whose value is a map of schemas.
const SCHEMA_MAPS: [&str; 4] = ["$defs", "definitions", "dependentSchemas", "patternProperties"];

/// A parameter that is mirrored into a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderParam {
    /// The header's name, as a client would write it.
    header: String,
    /// The header's name in lower case.
    lookup: String,
    /// The property path from the root of the arguments.
    path: Vec<String>,
}

impl HeaderParam {
    /// The header's name, as a client writes it.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// The property path from the root of the arguments.
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }
}

/// Finds the annotations of an input schema; the error is a sentence without a subject.
pub(crate) fn find(schema: &Value) -> Result<Vec<HeaderParam>, String> {
    let mut found = Vec::new();
    walk(schema, Some(&mut Vec::new()), &mut found)?;
    for (index, param) in found.iter().enumerate() {
        if found[..index].iter().any(|earlier: &HeaderParam| earlier.lookup == param.lookup) {
            return Err(format!("uses the {KEYWORD} name {} twice", param.header));
        }
    }
    Ok(found)
}

/// `path` is present while only `properties` lie between the root and `schema`.
fn walk(schema: &Value, path: Option<&mut Vec<String>>, found: &mut Vec<HeaderParam>) -> Result<(), String> {
    let Value::Object(object) = schema else { return Ok(()) };
    if let Some(name) = object.get(KEYWORD) {
        let path = path.as_deref().filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| {
            format!("has an {KEYWORD} where it is not allowed: only properties reached through `properties` may have one")
        })?;
        found.push(annotated(name, object, path)?);
    }
    for key in ONE_SCHEMA.into_iter().chain(["unevaluatedProperties"]) {
        object.get(key).map_or(Ok(()), |inner| walk(inner, None, found))?;
    }
    for key in SCHEMA_LISTS {
        let list = object.get(key).and_then(Value::as_array);
        list.into_iter().flatten().try_for_each(|inner| walk(inner, None, found))?;
    }
    for key in SCHEMA_MAPS {
        let map = object.get(key).and_then(Value::as_object);
        map.into_iter().flatten().try_for_each(|(_, inner)| walk(inner, None, found))?;
    }
    let properties = object.get("properties").and_then(Value::as_object);
    walk_properties(properties.into_iter().flatten(), path, found)
}

fn walk_properties<'a>(
    properties: impl Iterator<Item = (&'a String, &'a Value)>,
    path: Option<&mut Vec<String>>,
    found: &mut Vec<HeaderParam>,
) -> Result<(), String> {
    let Some(path) = path else {
        return properties.into_iter().try_for_each(|(_, inner)| walk(inner, None, found));
    };
    for (name, inner) in properties {
        path.push(name.clone());
        walk(inner, Some(path), found)?;
        path.pop();
    }
    Ok(())
}

fn annotated(name: &Value, schema: &Map<String, Value>, path: &[String]) -> Result<HeaderParam, String> {
    let name = name.as_str().unwrap_or_default();
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(format!("has an {KEYWORD} that is no HTTP token: {name:?}"));
    }
    let primitive = |kind: &Value| kind == "string" || kind == "integer" || kind == "boolean";
    let allowed = match schema.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().filter(|kind| *kind != "null").count() == 1
                && kinds.iter().all(|kind| primitive(kind) || kind == "null")
        }
        Some(kind) => primitive(kind),
        None => false,
    };
    if !allowed {
        let path = path.join(".");
        return Err(format!("has an {KEYWORD} on `{path}`, whose type must be string, integer or boolean"));
    }
    let header = format!("Mcp-Param-{name}");
    Ok(HeaderParam { lookup: header.to_ascii_lowercase(), header, path: path.to_vec() })
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Compares each mirrored parameter with its header; the error is the sentence to answer.
pub(crate) fn check(
    params: &[HeaderParam],
    headers: &dyn HeaderLookup,
    arguments: &str,
) -> Result<(), String> {
    // Arguments that are no JSON object hold no value; they are refused later, for what they are.
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    for param in params {
        let value = param.path.iter().try_fold(&arguments, |value, name| value.get(name));
        let value = value.filter(|value| !value.is_null());
        let member = || format!("params.arguments.{}", param.path.join("."));
        match (value, headers.find(&param.lookup)) {
            (None, None) => {}
            (Some(_), None) => return Err(missing(&param.header, &member())),
            (None, Some(_)) => return Err(mismatch(&param.header, &member())),
            (Some(value), Some(header)) => {
                let header = mirrored_value(header).ok_or_else(|| malformed(&param.header))?;
                if !matches(value, &header) {
                    return Err(mismatch(&param.header, &member()));
                }
            }
        }
    }
    Ok(())
}

fn matches(value: &Value, header: &str) -> bool {
    match value {
        Value::String(text) => text == header,
        Value::Bool(flag) => header == if *flag { "true" } else { "false" },
        Value::Number(number) => {
            header == number.to_string()
                || header.parse::<f64>().is_ok_and(|given| {
                    given.abs() < 9_007_199_254_740_992.0 && number.as_f64() == Some(given)
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(schema: Value) -> Result<Vec<String>, String> {
        Ok(find(&schema)?
            .into_iter()
            .map(|param| format!("{}={}", param.header, param.path.join(".")))
            .collect())
    }

    #[test]
    fn annotations_are_found_along_properties() {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"n": {"type": ["integer", "null"], "x-mcp-header": "N"}}},
            "x-mcp-header": {"type": "string", "default": {"x-mcp-header": "data, no annotation"}}
        }});
        assert_eq!(names(schema).unwrap(), ["Mcp-Param-N=deep.n", "Mcp-Param-Region=region"]);
    }

    #[test]
    fn misplaced_or_malformed_annotations_are_refused() {
        let at = |inner: Value| names(json!({"type": "object", "properties": {"a": inner}})).unwrap_err();
        assert!(at(json!({"type": "number", "x-mcp-header": "A"})).contains("`a`"));
        assert!(at(json!({"x-mcp-header": "A"})).contains("type must be"));
        assert!(at(json!({"type": "string", "x-mcp-header": ""})).contains("token"));
        assert!(at(json!({"type": "string", "x-mcp-header": "A B"})).contains("token"));
        assert!(at(json!({"type": "string", "x-mcp-header": 1})).contains("token"));
        let inner = json!({"type": "string", "x-mcp-header": "A"});
        for schema in [
            json!({"x-mcp-header": "A", "type": "object"}),
            json!({"properties": {"a": {"items": inner}}}),
            json!({"anyOf": [{"properties": {"a": inner}}]}),
            json!({"$defs": {"d": inner}}),
            json!({"additionalProperties": inner}),
            json!({"if": {"properties": {"a": inner}}}),
        ] {
            assert!(names(schema.clone()).unwrap_err().contains("not allowed"), "{schema}");
        }
        let twice = json!({"properties": {"a": inner, "b": {"type": "string", "x-mcp-header": "a"}}});
        assert!(names(twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn values_and_headers_must_agree() {
        let params = find(&json!({"properties": {"v": {"type": "string", "x-mcp-header": "V"}}})).unwrap();
        let run = |arguments: &str, header: Option<&str>| {
            let headers: Vec<(&str, &[u8])> =
                header.iter().map(|value| ("mcp-param-V", value.as_bytes())).collect();
            check(&params, &HeaderList(&headers), arguments).is_ok()
        };
        assert!(run("{}", None) && run(r#"{"v":null}"#, None));
        assert!(
            run(r#"{"v":"us-west1"}"#, Some("us-west1")) && run(r#"{"v":"a b"}"#, Some("=?base64?YSBi?="))
        );
        assert!(
            run(r#"{"v":42}"#, Some("42"))
                && run(r#"{"v":42}"#, Some("42.0"))
                && run(r#"{"v":42.0}"#, Some("42"))
        );
        assert!(
            run(r#"{"v":true}"#, Some("true")) && run(r#"{"v":9007199254740993}"#, Some("9007199254740993"))
        );
        assert!(!run(r#"{"v":"a"}"#, None) && !run("{}", Some("a")) && !run(r#"{"v":null}"#, Some("null")));
        assert!(!run(r#"{"v":"a"}"#, Some("A")) && !run(r#"{"v":"a"}"#, Some("=?base64?YQ?=")));
        assert!(
            !run(r#"{"v":true}"#, Some("True"))
                && !run(r#"{"v":9007199254740993}"#, Some("9007199254740992"))
        );
        assert!(!run(r#"{"v":[1]}"#, Some("[1]")));
    }

    struct HeaderList<'a>(&'a [(&'a str, &'a [u8])]);

    impl HeaderLookup for HeaderList<'_> {
        fn find(&self, name: &str) -> Option<&[u8]> {
            self.0.find(name)
        }
    }
}
