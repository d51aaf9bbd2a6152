//! The schemas of forms: flat objects of texts, numbers, booleans and choices (MCP, elicitation, requested schema).

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Checks that a form's schema stays within what clients can show; the error says what does not.
pub(crate) fn check(schema: &Value) -> Result<(), String> {
    if schema.get("type") != Some(&Value::from("object")) {
        return Err("the form's schema must have the type \"object\"".to_owned());
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Err("the form's schema must have properties".to_owned());
    };
    for (name, property) in properties {
        if !is_plain(property) {
            return Err(format!(
                "the form's property {name} is none of a string, a number, an integer, a boolean or a choice"
            ));
        }
    }
    Ok(())
}

fn is_plain(property: &Value) -> bool {
    match property.get("type").and_then(Value::as_str) {
        Some("string" | "number" | "integer" | "boolean") => true,
        Some("array") => property.get("items").is_some_and(|items| {
            ["enum", "anyOf", "oneOf"].iter().any(|key| items.get(key).is_some_and(Value::is_array))
        }),
        _ => false,
    }
}

/// The form for a type.
pub(crate) fn of_type<T: JsonSchema>() -> Result<Value, String> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    let Some(object) = schema.as_object_mut() else {
        return Err("the form's type is no struct with named fields".to_owned());
    };
    for key in ["$schema", "title", "description", "additionalProperties"] {
        object.remove(key);
    }
    object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(plain);
    }
    check(&schema).map(|()| schema)
}

/// The formats of texts that forms have; those of numbers are Rust's and help nobody.
const FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

/// Writes a property as clients expect it: one type, no null, choices with titles.
fn plain(property: &mut Value) {
    // An option of an enum is a choice between it and null.
    if let Some(only) = without_null(property) {
        *property = only;
    }
    let Some(object) = property.as_object_mut() else { return };
    if let Some(kind) = object.get_mut("type").filter(|kind| kind.is_array()) {
        let first = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
        *kind = first.unwrap_or_default();
    }
    if object.get("format").and_then(Value::as_str).is_some_and(|format| !FORMATS.contains(&format)) {
        object.remove("format");
    }
    if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    titled_choices(object, "oneOf");
    if let Some(items) = object.get_mut("items").and_then(Value::as_object_mut) {
        if let Some(choices) = items.remove("oneOf") {
            items.insert("anyOf".to_owned(), choices);
        }
        titled_choices(items, "anyOf");
        items.remove("type");
        if items.contains_key("enum") {
            items.insert("type".to_owned(), "string".into());
        }
    }
}

fn without_null(property: &Value) -> Option<Value> {
    let choices = property.get("anyOf")?.as_array()?;
    let mut rest = choices.iter().filter(|choice| choice.get("type") != Some(&Value::from("null")));
    let (only, None) = (rest.next()?, rest.next()) else { return None };
    let mut only = only.clone();
    for key in ["description", "title", "default"] {
        if let (Some(value), Some(object)) = (property.get(key), only.as_object_mut()) {
            object.insert(key.to_owned(), value.clone());
        }
    }
    Some(only)
}

/// Documented variants are `const` with a description; forms call that a title.
fn titled_choices(object: &mut Map<String, Value>, key: &str) {
    let Some(choices) = object.get_mut(key).and_then(Value::as_array_mut) else { return };
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        let title = choice.remove("description").or_else(|| choice.get("title").cloned());
        let Some(value) = choice.get("const").cloned() else { continue };
        choice.remove("type");
        choice.insert("title".to_owned(), title.unwrap_or(value));
    }
    if key == "oneOf" {
        object.insert("type".to_owned(), "string".into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    enum Speed {
        /// As fast as it goes
        Fast,
        /// Step by step
        Slow,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Form {
        /// Your name
        name: String,
        #[schemars(range(min = 18, max = 120))]
        age: Option<u8>,
        rate: f64,
        agreed: bool,
        colour: Colour,
        other: Option<Colour>,
        speed: Speed,
        colours: Vec<Colour>,
    }

    #[test]
    fn a_type_becomes_a_flat_form() {
        let form = of_type::<Form>().unwrap();
        let properties = &form["properties"];
        assert_eq!(properties["name"], json!({"type": "string", "description": "Your name"}));
        assert_eq!(properties["age"], json!({"type": "integer", "minimum": 18, "maximum": 120}));
        assert_eq!(properties["rate"], json!({"type": "number"}));
        assert_eq!(properties["colour"], json!({"type": "string", "enum": ["Red", "Green"]}));
        assert_eq!(properties["other"]["enum"], json!(["Red", "Green"]));
        assert_eq!(properties["other"]["type"], "string");
        assert_eq!(
            properties["speed"],
            json!({"type": "string", "oneOf": [
                {"const": "Fast", "title": "As fast as it goes"}, {"const": "Slow", "title": "Step by step"}
            ]})
        );
        assert_eq!(properties["colours"]["items"], json!({"type": "string", "enum": ["Red", "Green"]}));
        let required = form["required"].as_array().unwrap();
        assert!(required.contains(&json!("name")) && !required.contains(&json!("age")));
        assert!(form.get("title").is_none() && form.get("$schema").is_none());
    }

    #[test]
    fn what_no_client_can_show_is_refused() {
        #[derive(JsonSchema)]
        #[allow(dead_code, reason = "only its schema is looked at")]
        struct Nested {
            inner: Inner,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code, reason = "only its schema is looked at")]
        struct Inner {
            x: u8,
        }
        assert!(of_type::<Nested>().unwrap_err().contains("inner"));
        assert!(of_type::<String>().is_err());
        assert!(check(&json!({"type": "object"})).is_err());
        let numbers =
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}});
        assert!(check(&numbers).unwrap_err().contains("property a"));
        assert!(check(&json!({"type": "object", "properties": {}})).is_ok());
    }
}
