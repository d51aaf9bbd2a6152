//! Defaults of a form that the user did not fill in (SEP-1034).

use serde_json::{Map, Value};

/// Adds the schema's default for every property that `content` does not have.
pub(crate) fn fill_in(schema: &Value, content: &mut Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default").filter(|_| !content.contains_key(name)) {
            content.insert(name.clone(), default.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_absent_gets_its_default() {
        let schema = json!({ "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "note": { "type": "string" },
            "tags": { "type": "array", "default": ["a"] },
            "flag": { "type": "boolean", "default": false } } });
        let mut content = Map::from_iter([("age".to_owned(), json!(7)), ("flag".to_owned(), Value::Null)]);
        fill_in(&schema, &mut content);
        assert_eq!(
            Value::Object(content),
            json!({ "name": "John Doe", "age": 7, "tags": ["a"], "flag": null })
        );
        let mut untouched = Map::new();
        fill_in(&json!({ "properties": [] }), &mut untouched);
        fill_in(&json!(1), &mut untouched);
        assert!(untouched.is_empty());
    }
}
