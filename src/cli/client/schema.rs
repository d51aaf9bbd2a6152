//! As much of a JSON Schema as the command line needs: what an argument is called, what it may be, what it means.

use serde_json::Value;

/// References followed for one property; a schema that refers to itself ends here.
const MAX_REFERENCES: usize = 8;

/// One property of an object schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) required: bool,
    root: &'a Value,
    /// As written, with the description that belongs to this use of it.
    written: &'a Value,
    /// With references followed.
    schema: &'a Value,
}

/// The properties of an object schema, required ones first.
pub(super) fn properties(root: &Value) -> Vec<Property<'_>> {
    let object = resolve(root, root);
    let required = object.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let all = object.get("properties").and_then(Value::as_object);
    let mut properties: Vec<_> = all
        .into_iter()
        .flatten()
        .map(|(name, written)| {
            let (required, schema) = (is_required(name), resolve(root, written));
            Property { name, required, root, written, schema }
        })
        .collect();
    properties.sort_by_key(|property| !property.required);
    properties
}

/// Follows references within the same document; any other is left alone.
fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..MAX_REFERENCES {
        let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        match pointer.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

impl<'a> Property<'a> {
    /// The types it may have; none where the schema does not say.
    pub(super) fn types(&self) -> Vec<&'a str> {
        types(self.root, self.schema)
    }

    /// The types that the items of an array may have.
    pub(super) fn item_types(&self) -> Vec<&'a str> {
        self.schema.get("items").map_or_else(Vec::new, |items| types(self.root, resolve(self.root, items)))
    }

    /// The values it may have, where they are listed.
    pub(super) fn choices(&self) -> Vec<&'a Value> {
        self.schema.get("enum").and_then(Value::as_array).map_or_else(Vec::new, |all| all.iter().collect())
    }

    pub(super) fn description(&self) -> Option<&'a str> {
        let of = |schema: &'a Value| schema.get("description").and_then(Value::as_str);
        of(self.written).or_else(|| of(self.schema))
    }

    pub(super) fn default(&self) -> Option<&'a Value> {
        self.written.get("default").or_else(|| self.schema.get("default")).filter(|value| !value.is_null())
    }

    /// What it may be, in a word: `string`, `a|b|c`, `integer`, or `json` where anything goes.
    pub(super) fn word(&self) -> String {
        let choices = self.choices();
        if !choices.is_empty() && choices.len() <= 6 {
            let word = |value: &&Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return choices.iter().map(word).collect::<Vec<_>>().join("|");
        }
        let types: Vec<_> = self.types().into_iter().filter(|name| *name != "null").collect();
        if types == ["array"] {
            let items = self.item_types();
            return if items.len() == 1 { format!("{}[]", items[0]) } else { "array".to_owned() };
        }
        if types.is_empty() { "json".to_owned() } else { types.join("|") }
    }
}

fn types<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    match schema.get("type") {
        Some(Value::String(name)) => return vec![name],
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).collect(),
        _ => {}
    }
    let branches = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)?.as_array());
    let mut found: Vec<_> = match branches {
        Some(branches) => {
            let branches = branches.iter().map(|branch| resolve(root, branch));
            branches.flat_map(|branch| branch_types(branch)).collect()
        }
        None => values_types(schema),
    };
    found.sort_unstable();
    found.dedup();
    found
}

/// The types of one branch; deeper ones are not looked at.
fn branch_types(branch: &Value) -> Vec<&str> {
    match branch.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => values_types(branch),
    }
}

/// The types of the values that are listed.
fn values_types(schema: &Value) -> Vec<&'static str> {
    let listed = schema.get("enum").and_then(Value::as_array);
    let values = listed.into_iter().flatten().chain(schema.get("const"));
    values
        .map(|value| match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_are_found_through_references_and_described_in_a_word() {
        let schema = json!({
            "$ref": "#/$defs/Args",
            "$defs": {
                "Args": { "type": "object", "required": ["b"], "properties": {
                    "a": { "type": ["integer", "null"], "default": 3 },
                    "b": { "$ref": "#/$defs/Unit", "description": "this use" },
                    "c": { "type": "array", "items": { "$ref": "#/$defs/Unit" } },
                    "d": {}, "e": { "$ref": "#/properties/e" },
                    "f": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                    "g": { "$ref": "https://example.org/elsewhere" } } },
                "Unit": { "enum": ["m", "km"], "description": "a unit" }
            }
        });
        let all = properties(&schema);
        let words: Vec<_> = all.iter().map(|property| (property.name, property.word())).collect();
        let words: Vec<_> = words.iter().map(|(name, word)| (*name, word.as_str())).collect();
        let expected = [
            ("b", "m|km"),
            ("a", "integer"),
            ("c", "string[]"),
            ("d", "json"),
            ("e", "json"),
            ("f", "string"),
            ("g", "json"),
        ];
        assert_eq!(words, expected);
        assert_eq!((all[0].required, all[0].description()), (true, Some("this use")));
        assert_eq!(all[1].default(), Some(&json!(3)));
        assert!(properties(&json!(true)).is_empty());
    }
}
