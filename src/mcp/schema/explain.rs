//! Validation errors as sentences that a model can act on: which property, and what is allowed.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// The most violations named in one answer.
const MOST_ERRORS: usize = 5;
/// The most bytes of one sentence.
const MOST_BYTES: usize = 400;

/// The violations of `instance`, joined; `None` when it is valid.
pub(crate) fn violations(validator: &Validator, instance: &Value) -> Option<String> {
    if validator.is_valid(instance) {
        return None;
    }
    let mut text = String::new();
    for (index, error) in validator.iter_errors(instance).enumerate() {
        if index == MOST_ERRORS {
            text.push_str("; and more");
            break;
        }
        if index > 0 {
            text.push_str("; ");
        }
        text.push_str(&cut(sentence(&error)));
    }
    Some(text)
}

fn sentence(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    let path = path(error.instance_path().as_str());
    let rule = match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            return format!("{} is required", quoted(&join(&path, name)));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| quoted(&join(&path, name))).collect();
            return format!("{} is not a known property", names.join(", "));
        }
        Kind::Type { kind } => format!("must be {}", types(kind)),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::Enum { options } => format!("must be one of {options}"),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::UniqueItems => "must not have equal items".to_owned(),
        // The rest is rare; the validator's own sentence names the keyword.
        _ => format!("is invalid: {}", error.masked_with("the value")),
    };
    format!("{} {rule}{}", quoted(&path), got(error.instance()))
}

/// The offending value, where it is short and a scalar.
fn got(instance: &Value) -> String {
    match instance {
        Value::Object(_) => ", not an object".to_owned(),
        Value::Array(_) => ", not an array".to_owned(),
        scalar => {
            let text = scalar.to_string();
            if text.len() <= 64 { format!(", not {text}") } else { String::new() }
        }
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => article(&one.to_string()),
        TypeKind::Multiple(many) => {
            many.iter().map(|one| article(&one.to_string())).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn article(name: &str) -> String {
    match name {
        "null" => name.to_owned(),
        "array" | "integer" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// A JSON pointer as a path: `/a/0/b` becomes `a[0].b`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            let _ = write!(path, "[{part}]");
        } else {
            path = join(&path, &part);
        }
    }
    path
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn quoted(path: &str) -> String {
    if path.is_empty() { "the value".to_owned() } else { format!("`{path}`") }
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_BYTES {
        let end = (0..=MOST_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn explain(schema: Value, instance: Value) -> String {
        violations(&crate::mcp::schema::document::compile(&schema).unwrap(), &instance).unwrap_or_default()
    }

    #[test]
    fn sentences_name_the_property_and_what_is_allowed() {
        let schema = json!({
            "type": "object",
            "properties": {
                "count": {"type": "integer", "minimum": 1, "maximum": 9},
                "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2},
                "mode": {"enum": ["a", "b"]},
                "list": {"type": "array", "items": {"type": ["string", "null"]}, "maxItems": 1}
            },
            "required": ["count"],
            "additionalProperties": false
        });
        let cases = [
            (json!({}), "`count` is required"),
            (json!({"count": 0}), "`count` must be at least 1, not 0"),
            (json!({"count": 10}), "`count` must be at most 9, not 10"),
            (json!({"count": "1"}), "`count` must be an integer, not \"1\""),
            (json!({"count": 1, "name": "AB"}), "`name` must match the pattern ^[a-z]+$, not \"AB\""),
            (json!({"count": 1, "name": "a"}), "`name` must have at least 2 characters, not \"a\""),
            (json!({"count": 1, "mode": "c"}), "`mode` must be one of [\"a\",\"b\"], not \"c\""),
            (json!({"count": 1, "list": [{}]}), "`list[0]` must be a string or null, not an object"),
            (json!({"count": 1, "list": ["", ""]}), "`list` must have at most 1 items, not an array"),
            (json!({"count": 1, "x": 1}), "`x` is not a known property"),
        ];
        for (instance, expected) in cases {
            let mut text = explain(schema.clone(), instance);
            // The validator may list the members of a type in any order.
            text = text.replace("null or a string", "a string or null");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn long_values_and_many_errors_are_cut() {
        let text = explain(
            json!({"items": {"type": "integer"}}),
            json!(["x".repeat(1000), 1, "", "", "", "", "", ""]),
        );
        assert!(text.ends_with("; and more") && text.len() < 600, "{text}");
        assert!(explain(json!({"enum": ["y".repeat(2000)]}), json!(1)).len() < 450);
    }

    #[test]
    fn paths_read_like_code() {
        assert_eq!(path("/a/0/b~1c"), "a[0].b/c");
        assert_eq!(path(""), "");
    }
}
