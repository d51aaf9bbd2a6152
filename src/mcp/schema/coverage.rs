//! Whether reading arguments into a tool's type enforces every keyword of its schema.
//!
//! Where it does, the typed read is the validation and nothing runs twice. The answer is yes only for schemas of a
//! plain shape, and only after the type was tried with values that the schema forbids.

use serde_json::{Map, Value, json};

/// Members that describe and do not constrain.
const NOTES: [&str; 10] = [
    "$schema",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "x-mcp-header",
];

/// True when `accepts`, the typed read, refuses whatever `schema` refuses.
pub(crate) fn covers(schema: &Value, accepts: impl Fn(&Value) -> bool) -> bool {
    let Some(shape) = plain_shape(schema) else { return false };
    let full: Map<String, Value> =
        shape.properties.iter().map(|(name, slot)| ((*name).clone(), slot.sample())).collect();
    let with = |name: &str, value: Value| {
        let mut changed = full.clone();
        changed.insert(name.to_owned(), value);
        Value::Object(changed)
    };
    let without = |name: &str| {
        let mut changed = full.clone();
        changed.remove(name);
        Value::Object(changed)
    };
    accepts(&Value::Object(full.clone()))
        && shape.required.iter().all(|name| !accepts(&without(name)))
        && (shape.open || !accepts(&with("\u{1}unknown", json!(1))))
        && shape
            .properties
            .iter()
            .all(|(name, slot)| slot.counterexamples().into_iter().all(|value| !accepts(&with(name, value))))
}

struct Shape<'a> {
    properties: Vec<(&'a String, Slot)>,
    required: Vec<&'a str>,
    /// Whether unknown properties are allowed.
    open: bool,
}

/// What a property may hold, as far as plain shapes go.
#[derive(Clone)]
enum Slot {
    Anything,
    Scalar { kind: Scalar, nullable: bool },
    List { item: Box<Slot>, nullable: bool },
}

#[derive(Clone, Copy, PartialEq)]
enum Scalar {
    Text,
    Flag,
    Number,
    Integer { least: Option<i64>, most: Option<i64> },
}

fn plain_shape(schema: &Value) -> Option<Shape<'_>> {
    let object = schema.as_object()?;
    let known = ["type", "properties", "required", "additionalProperties"];
    if object.get("type")? != "object" || !only(object, &known) {
        return None;
    }
    let properties = match object.get("properties") {
        None => Vec::new(),
        Some(properties) => properties
            .as_object()?
            .iter()
            .map(|(name, schema)| Some((name, slot(schema)?)))
            .collect::<Option<_>>()?,
    };
    let required = match object.get("required") {
        None => Vec::new(),
        Some(required) => required.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?,
    };
    let open = match object.get("additionalProperties") {
        None | Some(Value::Bool(true)) => true,
        Some(Value::Bool(false)) => false,
        Some(_) => return None,
    };
    Some(Shape { properties, required, open })
}

fn slot(schema: &Value) -> Option<Slot> {
    let object = match schema {
        Value::Bool(true) => return Some(Slot::Anything),
        Value::Object(object) => object,
        _ => return None,
    };
    let (kind, nullable) = match object.get("type") {
        None => return only(object, &[]).then_some(Slot::Anything),
        Some(Value::String(kind)) => (kind.as_str(), false),
        Some(Value::Array(kinds)) => match kinds.as_slice() {
            [Value::String(kind), Value::String(null)] if null == "null" => (kind.as_str(), true),
            _ => return None,
        },
        Some(_) => return None,
    };
    if kind == "array" {
        let item = Box::new(slot(object.get("items")?)?);
        return only(object, &["type", "items"]).then_some(Slot::List { item, nullable });
    }
    Some(Slot::Scalar { kind: scalar(kind, object)?, nullable })
}

fn scalar(kind: &str, object: &Map<String, Value>) -> Option<Scalar> {
    // `format` is a note in 2020-12.
    let allowed: &[&str] =
        if kind == "integer" { &["type", "format", "minimum", "maximum"] } else { &["type", "format"] };
    if !only(object, allowed) {
        return None;
    }
    match kind {
        "string" => Some(Scalar::Text),
        "boolean" => Some(Scalar::Flag),
        "number" => Some(Scalar::Number),
        "integer" => {
            let (least, most) = (object.get("minimum"), object.get("maximum"));
            let natural = natural_range(object.get("format").and_then(Value::as_str));
            let given = (least.map(Value::as_i64), most.map(Value::as_i64));
            // Bounds of the author's own are not known to the type.
            (given == (natural.0.map(Some), natural.1.map(Some)))
                .then_some(Scalar::Integer { least: natural.0, most: natural.1 })
        }
        _ => None,
    }
}

/// The bounds that a schema states for the integer types themselves.
fn natural_range(format: Option<&str>) -> (Option<i64>, Option<i64>) {
    match format {
        Some("int8") => (Some(-128), Some(127)),
        Some("int16") => (Some(-32_768), Some(32_767)),
        Some("uint8") => (Some(0), Some(255)),
        Some("uint16") => (Some(0), Some(65_535)),
        Some("uint32" | "uint64" | "uint128" | "uint") => (Some(0), None),
        _ => (None, None),
    }
}

fn only(object: &Map<String, Value>, allowed: &[&str]) -> bool {
    object.keys().all(|key| allowed.contains(&key.as_str()) || NOTES.contains(&key.as_str()))
}

impl Slot {
    fn sample(&self) -> Value {
        match self {
            Slot::Anything => json!({}),
            Slot::Scalar { kind: Scalar::Text, .. } => json!("x"),
            Slot::Scalar { kind: Scalar::Flag, .. } => json!(true),
            Slot::Scalar { kind: Scalar::Number, .. } => json!(1.5),
            Slot::Scalar { kind: Scalar::Integer { .. }, .. } => json!(7),
            Slot::List { item, .. } => json!([item.sample()]),
        }
    }

    fn admits(&self, value: &Value) -> bool {
        match self {
            Slot::Anything => true,
            Slot::Scalar { nullable, .. } | Slot::List { nullable, .. } if value.is_null() => *nullable,
            Slot::Scalar { kind: Scalar::Text, .. } => value.is_string(),
            Slot::Scalar { kind: Scalar::Flag, .. } => value.is_boolean(),
            Slot::Scalar { kind: Scalar::Number, .. } => value.is_number(),
            Slot::Scalar { kind: Scalar::Integer { least, most }, .. } => value
                .as_i64()
                .is_some_and(|value| least.is_none_or(|l| value >= l) && most.is_none_or(|m| value <= m)),
            Slot::List { item, .. } => {
                value.as_array().is_some_and(|values| values.iter().all(|value| item.admits(value)))
            }
        }
    }

    /// Values that the schema forbids here.
    fn counterexamples(&self) -> Vec<Value> {
        let mut tried = vec![
            Value::Null,
            json!(true),
            json!(7),
            json!(-1),
            json!(-32_769),
            json!(65_536),
            json!(1.5),
            json!("x"),
            json!("7"),
            json!("true"),
            json!(""),
            json!({}),
            json!({"x": null}),
            json!([]),
        ];
        if let Slot::List { item, .. } = self {
            tried.extend(item.counterexamples().into_iter().map(|value| json!([value])));
        }
        tried.retain(|value| !self.admits(value));
        tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    fn covered<A: DeserializeOwned + JsonSchema>() -> bool {
        let schema = schemars::schema_for!(A).to_value();
        covers(&schema, |value| serde_json::from_value::<A>(value.clone()).is_ok())
    }

    macro_rules! arguments {
        ($($(#[$attribute:meta])* $name:ident { $($(#[$field:meta])* $member:ident: $type:ty,)* })*) => {
            $(#[allow(dead_code)] #[derive(Deserialize, JsonSchema)] $(#[$attribute])*
            struct $name { $($(#[$field])* $member: $type,)* })*
        };
    }

    arguments! {
        Plain { a: String, b: bool, c: f64, d: i64, e: u8, f: Option<u32>, g: Vec<String>, h: Option<Vec<i32>>, i: Value, }
        Empty {}
        #[serde(deny_unknown_fields)] Strict { a: String, }
        Defaulted { #[serde(default)] a: i32, }
        Ranged { #[schemars(range(min = 1))] a: i32, }
        UnsignedFromOne { #[schemars(range(min = 1))] a: u32, }
        Patterned { #[schemars(regex(pattern = "^a"))] a: String, }
        Nested { a: Inner, }
        Inner { b: i32, }
        Chosen { a: Choice, }
        Mapped { a: std::collections::HashMap<String, i32>, }
        Unique { a: std::collections::HashSet<i32>, }
        Fixed { a: [i32; 2], }
        RequiredOption { #[schemars(required)] a: Option<i32>, }
        Lax { #[serde(deserialize_with = "lax")] #[schemars(with = "i64")] a: i64, }
        #[schemars(deny_unknown_fields)] ClaimsStrict { a: String, }
        Address { a: std::net::Ipv4Addr, }
    }

    #[allow(dead_code)]
    #[derive(Deserialize, JsonSchema)]
    enum Choice {
        One,
        Two,
    }

    fn lax<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            other => other.as_i64().ok_or_else(|| serde::de::Error::custom("no number")),
        }
    }

    #[test]
    fn plain_types_are_covered() {
        assert!(covered::<Plain>());
        assert!(covered::<Empty>());
        assert!(covered::<Strict>());
        assert!(covered::<Defaulted>());
    }

    #[test]
    fn keywords_that_serde_does_not_enforce_are_not_covered() {
        assert!(!covered::<Ranged>());
        assert!(!covered::<UnsignedFromOne>());
        assert!(!covered::<Patterned>());
        assert!(!covered::<Nested>());
        assert!(!covered::<Chosen>());
        assert!(!covered::<Mapped>());
        assert!(!covered::<Unique>());
        assert!(!covered::<Fixed>());
        assert!(!covered::<Address>());
    }

    #[test]
    fn types_that_are_laxer_than_their_schema_are_found_out() {
        assert!(!covered::<RequiredOption>());
        assert!(!covered::<Lax>());
        assert!(!covered::<ClaimsStrict>());
    }
}
