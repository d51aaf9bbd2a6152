//! What 2026-07-28 mirrors from the body into headers, and how values are written there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::mcp::HeaderParam;

/// The largest whole number that every JSON implementation holds exactly.
const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// A value as a header carries it: as it is, or as `=?base64?…?=` where it could not travel safely.
pub(crate) fn encode(value: &str) -> String {
    let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    let sentinel = value.starts_with("=?base64?") && value.ends_with("?=");
    if visible && !padded && !sentinel {
        return value.to_owned();
    }
    format!("=?base64?{}?=", STANDARD.encode(value))
}

/// What `Mcp-Name` repeats from the parameters of a request.
pub(crate) fn mirrored_name(method: &str, params: &serde_json::Map<String, Value>) -> Option<String> {
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    params.get(member).and_then(Value::as_str).map(encode)
}

/// The `Mcp-Param-*` headers of a call: one for each annotated property that has a value.
pub(crate) fn mirrored_params(params: &[HeaderParam], arguments: &Value) -> Vec<(String, String)> {
    let value = |param: &HeaderParam| {
        let value = param.path().iter().try_fold(arguments, |value, name| value.get(name))?;
        text(value).map(|text| (param.header().to_owned(), encode(&text)))
    };
    params.iter().filter_map(value).collect()
}

/// A value's text. What is none of the three types has none: the server refuses it for its schema.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => match number.as_f64() {
            // A whole number is written as one, however the caller spelt it.
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= SAFE_INTEGER => {
                Some((float as i64).to_string())
            }
            _ => Some(number.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_encoded_only_where_needed() {
        for plain in ["us-west1", "a b", "", "=?base64?x", "x?=", "a\tb"] {
            assert_eq!(encode(plain), plain);
        }
        for (value, encoded) in [
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("a\r\nX-Evil: 1", "=?base64?YQ0KWC1FdmlsOiAx?="),
            ("\t", "=?base64?CQ==?="),
        ] {
            assert_eq!(encode(value), encoded);
        }
    }

    #[test]
    fn annotated_properties_become_headers() {
        let kinds = ["string", "integer", "boolean"];
        let mut properties = serde_json::Map::new();
        for kind in kinds {
            properties.insert(kind.to_owned(), json!({ "type": kind, "x-mcp-header": format!("X-{kind}") }));
        }
        properties.insert(
            "deep".into(),
            json!({ "properties": { "n": { "type": "integer", "x-mcp-header": "N" } } }),
        );
        let params =
            crate::mcp::header_params(&json!({ "type": "object", "properties": properties })).unwrap();
        let headers = |arguments: Value| {
            let mut headers = mirrored_params(&params, &arguments);
            headers.sort();
            headers.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            headers(json!({ "string": "ü", "integer": 42.0, "boolean": false, "deep": { "n": -7 } })),
            [
                "Mcp-Param-N=-7",
                "Mcp-Param-X-boolean=false",
                "Mcp-Param-X-integer=42",
                "Mcp-Param-X-string==?base64?w7w=?="
            ]
        );
        assert_eq!(headers(json!({ "string": null, "deep": 1 })), Vec::<String>::new());
        assert_eq!(
            headers(json!({ "integer": 9_007_199_254_740_993_u64 })),
            ["Mcp-Param-X-integer=9007199254740993"]
        );
    }

    #[test]
    fn names_are_mirrored_for_the_methods_that_have_one() {
        let params = json!({ "name": "n", "uri": "test://ü" });
        let name = |method| mirrored_name(method, params.as_object().unwrap());
        assert_eq!(name("tools/call").as_deref(), Some("n"));
        assert_eq!(name("resources/read").as_deref(), Some("=?base64?dGVzdDovL8O8?="));
        assert_eq!(name("tools/list"), None);
    }
}
