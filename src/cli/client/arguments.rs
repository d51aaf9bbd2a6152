//! `key=value` and `key:=json` become the arguments of a tool or a prompt.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema::{self, Property};

/// One argument as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// `key=value`: what the value becomes is the tool's schema's to say.
    Text(String),
    /// `key:=json`.
    Json(Value),
}

/// Arguments by name, each as often as it was given.
pub(super) type Givens = BTreeMap<String, Vec<Given>>;

/// Takes the words apart.
///
/// # Errors
/// A sentence, for a word that is no `key=value`, or JSON that is none.
pub(super) fn split(words: &[String]) -> Result<Givens, String> {
    let mut givens = Givens::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            return Err(format!("{word:?} is not an argument: write key=value, or key:=json for JSON"));
        };
        let (key, given) = match key.strip_suffix(':') {
            Some(key) => {
                let value = serde_json::from_str(value).map_err(|error| {
                    format!("the value of {key:?} after := is not JSON ({error}); write {key}=… for a text")
                })?;
                (key, Given::Json(value))
            }
            None => (key, Given::Text(value.to_owned())),
        };
        if key.is_empty() {
            return Err(format!("{word:?} has no name before the equals sign"));
        }
        givens.entry(key.to_owned()).or_default().push(given);
    }
    Ok(givens)
}

/// A JSON object for `--json`.
///
/// # Errors
/// A sentence, when it is none.
pub(super) fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("the arguments after --json must be a JSON object".to_owned()),
        Err(error) => Err(format!("the arguments after --json are not JSON: {error}")),
    }
}

/// Whether the schema matters: there is a text to be given a type.
pub(super) fn need_schema(givens: &Givens) -> bool {
    givens.values().flatten().any(|given| matches!(given, Given::Text(_)))
}

/// The arguments of a tool, each text turned into what the schema says. A text whose type the schema leaves open stays
/// a text.
///
/// # Errors
/// A sentence, for a text that is not of the type it must have, or a name given twice that is no list.
pub(super) fn typed(givens: Givens, input_schema: &Value) -> Result<Value, String> {
    let properties = schema::properties(input_schema);
    let mut arguments = Map::new();
    for (key, given) in givens {
        let property = properties.iter().find(|property| property.name == key);
        let value = value(&key, given, property)?;
        arguments.insert(key, value);
    }
    Ok(Value::Object(arguments))
}

fn value(key: &str, mut given: Vec<Given>, property: Option<&Property<'_>>) -> Result<Value, String> {
    let types = property.map_or_else(Vec::new, Property::types);
    let is_list = types.contains(&"array") && !types.contains(&"string");
    match (given.pop(), given.is_empty()) {
        (Some(Given::Json(value)), true) => Ok(value),
        (Some(Given::Text(text)), true) => match one(key, &text, &types) {
            Err(_) if is_list => items(key, vec![Given::Text(text)], property).map(Value::Array),
            value => value,
        },
        (Some(last), false) if is_list => {
            given.push(last);
            items(key, given, property).map(Value::Array)
        }
        _ => Err(format!("{key:?} is given more than once, and is not a list")),
    }
}

fn items(key: &str, given: Vec<Given>, property: Option<&Property<'_>>) -> Result<Vec<Value>, String> {
    let types = property.map_or_else(Vec::new, Property::item_types);
    let item = |item| match item {
        Given::Json(value) => Ok(value),
        Given::Text(text) => one(key, &text, &types),
    };
    given.into_iter().map(item).collect()
}

/// One text as one of these types.
fn one(key: &str, text: &str, types: &[&str]) -> Result<Value, String> {
    if types.is_empty() || types.contains(&"string") {
        return Ok(text.into());
    }
    let value: Option<Value> = serde_json::from_str(text).ok();
    let fits = |value: &Value| {
        types.iter().any(|name| match *name {
            "integer" => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0)
            }
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        })
    };
    value.filter(fits).ok_or_else(|| format!("{key:?} must be {}, not {text:?}", types.join(" or ")))
}

/// The arguments of a prompt, which are texts.
///
/// # Errors
/// A sentence, for JSON or a name given twice.
pub(super) fn texts(givens: Givens) -> Result<BTreeMap<String, String>, String> {
    let text = |(key, mut given): (String, Vec<Given>)| match (given.pop(), given.is_empty()) {
        (Some(Given::Text(text)), true) => Ok((key, text)),
        (Some(Given::Json(Value::String(text))), true) => Ok((key, text)),
        (_, true) => Err(format!("{key:?} must be a text: a prompt's arguments are")),
        _ => Err(format!("{key:?} is given more than once")),
    };
    givens.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn split_words(words: &[&str]) -> Result<Givens, String> {
        split(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    fn call(words: &[&str]) -> Result<Value, String> {
        let schema = json!({ "type": "object", "properties": {
            "text": { "type": "string" }, "count": { "type": "integer" }, "ratio": { "type": "number" },
            "flag": { "type": "boolean" }, "tags": { "type": "array", "items": { "type": "string" } },
            "sizes": { "type": "array", "items": { "type": "integer" } }, "any": {},
            "point": { "type": "object" }, "either": { "type": ["integer", "string"] },
            "maybe": { "anyOf": [{ "type": "integer" }, { "type": "null" }] } } });
        typed(split_words(words)?, &schema)
    }

    #[test]
    fn texts_become_what_the_schema_says() {
        let words = ["text=12", "count=3", "ratio=1e3", "flag=true", "any=1", "point={\"x\":1}", "either=5"];
        let expected = json!({ "text": "12", "count": 3, "ratio": 1e3, "flag": true, "any": "1", "point": { "x": 1 }, "either": "5" });
        assert_eq!(call(&words), Ok(expected));
        assert_eq!(call(&["maybe=null", "text=a=b"]), Ok(json!({ "maybe": null, "text": "a=b" })));
        assert_eq!(
            call(&["text:=1", "unknown:=[1]"]),
            Ok(json!({ "text": 1, "unknown": [1] })),
            "as written"
        );
        assert_eq!(call(&["text="]), Ok(json!({ "text": "" })));
    }

    #[test]
    fn lists_are_given_item_by_item_or_as_json() {
        assert_eq!(call(&["tags=a"]), Ok(json!({ "tags": ["a"] })));
        assert_eq!(
            call(&["tags=a", "tags=1", "sizes=1", "sizes:=2"]),
            Ok(json!({ "tags": ["a", "1"], "sizes": [1, 2] }))
        );
        assert_eq!(call(&["sizes=[1, 2]"]), Ok(json!({ "sizes": [1, 2] })));
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_does() {
        for (words, expected) in [
            (&["count=many"][..], "\"count\" must be integer, not \"many\""),
            (&["count=1.5"], "must be integer"),
            (&["flag=yes"], "must be boolean"),
            (&["sizes=a"], "must be integer"),
            (&["text=a", "text=b"], "more than once"),
            (&["unknown=a", "unknown=b"], "more than once"),
            (&["text"], "is not an argument"),
            (&["=a"], "no name"),
            (&[":=1"], "no name"),
            (&["text:=a"], "is not JSON"),
        ] {
            let why = call(words).unwrap_err();
            assert!(why.contains(expected), "{words:?}: {why}");
        }
        assert!(object("[1]").is_err() && object("{").is_err() && object("{}").is_ok());
        assert!(texts(split_words(&["a:=1"]).unwrap()).is_err());
        assert_eq!(texts(split_words(&["a=1"]).unwrap()).unwrap()["a"], "1");
    }
}
