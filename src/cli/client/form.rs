//! The fields of an elicitation's form: what to ask, and what an answer on a line means.

use serde_json::{Value, json};

use super::text::line;

/// One field of the flat schema that a form is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    title: Option<String>,
    description: Option<String>,
    required: bool,
    default: Option<Value>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Text { least: usize, most: usize, format: Option<String> },
    Number { whole: bool, least: f64, most: f64 },
    Flag,
    One(Vec<Choice>),
    Many { choices: Vec<Choice>, least: usize, most: usize },
}

/// A value, and what people call it.
#[derive(Debug, Clone, PartialEq)]
struct Choice {
    value: String,
    label: String,
}

/// The fields of a form, required ones first. What is no field of a flat schema is asked for as a text.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    let field = |(name, property): (&String, &Value)| {
        let text = |key: &str| property.get(key).and_then(Value::as_str).map(line);
        Field {
            name: name.clone(),
            title: text("title"),
            description: text("description"),
            required: is_required(name),
            default: property.get("default").filter(|value| !value.is_null()).cloned(),
            kind: kind(property),
        }
    };
    let mut fields: Vec<Field> = properties.into_iter().flatten().map(field).collect();
    fields.sort_by_key(|field| !field.required);
    fields
}

fn kind(property: &Value) -> Kind {
    let count =
        |key: &str, default| property.get(key).and_then(Value::as_u64).map_or(default, |it| it as usize);
    let bound = |key: &str, default| property.get(key).and_then(Value::as_f64).unwrap_or(default);
    let choices = choices(property);
    match property.get("type").and_then(Value::as_str) {
        Some(kind @ ("integer" | "number")) => {
            let (least, most) = (bound("minimum", f64::NEG_INFINITY), bound("maximum", f64::INFINITY));
            Kind::Number { whole: kind == "integer", least, most }
        }
        Some("boolean") => Kind::Flag,
        Some("array") => {
            let choices = property.get("items").map(self::choices).unwrap_or_default();
            Kind::Many { choices, least: count("minItems", 0), most: count("maxItems", usize::MAX) }
        }
        _ if !choices.is_empty() => Kind::One(choices),
        _ => {
            let format = property.get("format").and_then(Value::as_str).map(line);
            Kind::Text { least: count("minLength", 0), most: count("maxLength", usize::MAX), format }
        }
    }
}

/// `enum` with or without `enumNames`, or `oneOf`/`anyOf` of titled constants.
fn choices(property: &Value) -> Vec<Choice> {
    let list = |key: &str| property.get(key).and_then(Value::as_array);
    if let Some(values) = list("enum") {
        let labels = list("enumNames");
        let label = |index: usize| labels.and_then(|all| all.get(index)?.as_str());
        let choice = |(index, value): (usize, &Value)| {
            let value = value.as_str()?;
            Some(Choice { value: value.to_owned(), label: line(label(index).unwrap_or(value)) })
        };
        return values.iter().enumerate().filter_map(choice).collect();
    }
    let choice = |branch: &Value| {
        let value = branch.get("const")?.as_str()?;
        let label = branch.get("title").and_then(Value::as_str).unwrap_or(value);
        Some(Choice { value: value.to_owned(), label: line(label) })
    };
    list("oneOf").or_else(|| list("anyOf")).into_iter().flatten().filter_map(choice).collect()
}

impl Field {
    /// What to ask, on one or more lines.
    pub(super) fn question(&self) -> String {
        let mut text = format!("  {}", line(self.title.as_deref().unwrap_or(&self.name)));
        let mut facts = vec![self.kind.word()];
        facts.extend((!self.required).then(|| "optional".to_owned()));
        facts.extend(self.default.as_ref().map(|value| format!("default {}", line(&plain(value)))));
        text.push_str(&format!(" ({})", facts.join(", ")));
        if let Some(description) = &self.description {
            text.push_str(&format!(": {description}"));
        }
        if let Kind::One(choices) | Kind::Many { choices, .. } = &self.kind {
            for (index, choice) in choices.iter().enumerate() {
                text.push_str(&format!("\n    {}) {}", index + 1, choice.label));
            }
        }
        text
    }

    /// What an answer means: a value, or nothing for a field that is left out.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub(super) fn read(&self, answer: &str) -> Result<Option<Value>, String> {
        if answer.trim().is_empty() {
            return match (&self.default, self.required) {
                (Some(default), _) => Ok(Some(default.clone())),
                (None, false) => Ok(None),
                (None, true) => Err("this field needs an answer".to_owned()),
            };
        }
        self.kind.read(answer).map(Some)
    }
}

impl Kind {
    fn word(&self) -> String {
        match self {
            Self::Text { format: Some(format), .. } => format.clone(),
            Self::Text { .. } => "text".to_owned(),
            Self::Number { whole: true, .. } => "whole number".to_owned(),
            Self::Number { .. } => "number".to_owned(),
            Self::Flag => "yes or no".to_owned(),
            Self::One(_) => "one of".to_owned(),
            Self::Many { .. } => "any of, by commas".to_owned(),
        }
    }

    fn read(&self, answer: &str) -> Result<Value, String> {
        let trimmed = answer.trim();
        match self {
            Self::Text { least, most, .. } => {
                let length = answer.chars().count();
                let fits = (*least..=*most).contains(&length);
                let bounds = bounds(&least.to_string(), (*most < usize::MAX).then(|| most.to_string()));
                fits.then(|| answer.into()).ok_or_else(|| format!("it must have {bounds} characters"))
            }
            Self::Number { whole, least, most } => read_number(trimmed, *whole, *least, *most),
            Self::Flag => match trimmed.to_ascii_lowercase().as_str() {
                "y" | "yes" | "true" => Ok(true.into()),
                "n" | "no" | "false" => Ok(false.into()),
                _ => Err("answer yes or no".to_owned()),
            },
            Self::One(choices) => choose(choices, trimmed).map(Value::from),
            Self::Many { choices, least, most } => {
                let words = trimmed.split(',').map(str::trim).filter(|word| !word.is_empty());
                let chosen: Vec<String> =
                    words.map(|word| choose(choices, word)).collect::<Result<_, _>>()?;
                let fits = (*least..=*most).contains(&chosen.len());
                let bounds = bounds(&least.to_string(), (*most < usize::MAX).then(|| most.to_string()));
                fits.then(|| json!(chosen)).ok_or_else(|| format!("choose {bounds}"))
            }
        }
    }
}

fn read_number(text: &str, whole: bool, least: f64, most: f64) -> Result<Value, String> {
    let value = match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) if !whole && number.is_finite() => Value::from(number),
        _ if whole => return Err("it must be a whole number".to_owned()),
        _ => return Err("it must be a number".to_owned()),
    };
    let number = value.as_f64().unwrap_or_default();
    if number < least || number > most {
        let upper = most.is_finite().then(|| most.to_string());
        let lower = if least.is_finite() { least.to_string() } else { "any".to_owned() };
        return Err(format!("it must be {}", bounds(&lower, upper)));
    }
    Ok(value)
}

fn bounds(least: &str, most: Option<String>) -> String {
    most.map_or_else(|| format!("{least} or more"), |most| format!("from {least} to {most}"))
}

/// A choice by its value, its label or its number.
fn choose(choices: &[Choice], word: &str) -> Result<String, String> {
    let same = |choice: &&Choice| choice.value == word || choice.label.eq_ignore_ascii_case(word);
    let number = || choices.get(word.parse::<usize>().ok()?.checked_sub(1)?);
    let found = choices.iter().find(same).or_else(number);
    found
        .map(|choice| choice.value.clone())
        .ok_or_else(|| format!("choose by number, from 1 to {}", choices.len()))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(schema: Value) -> Field {
        let form = json!({ "type": "object", "properties": { "it": schema }, "required": ["it"] });
        fields(&form).remove(0)
    }

    #[test]
    fn answers_become_values_of_the_fields_kind() {
        let cases = [
            (json!({ "type": "string", "maxLength": 3 }), " ab", json!(" ab")),
            (json!({ "type": "integer", "minimum": 1, "maximum": 9 }), " 7 ", json!(7)),
            (json!({ "type": "number" }), "0.5", json!(0.5)),
            (json!({ "type": "boolean" }), "Yes", json!(true)),
            (json!({ "type": "boolean" }), "n", json!(false)),
            (
                json!({ "type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"] }),
                "green",
                json!("g"),
            ),
            (json!({ "type": "string", "enum": ["2", "1"] }), "1", json!("1")),
            (json!({ "type": "string", "oneOf": [{ "const": "x", "title": "The X" }] }), "1", json!("x")),
            (json!({ "type": "array", "items": { "enum": ["a", "b", "c"] } }), "1, c", json!(["a", "c"])),
            (
                json!({ "type": "array", "items": { "anyOf": [{ "const": "a", "title": "A" }] } }),
                "a,",
                json!(["a"]),
            ),
        ];
        for (schema, answer, expected) in cases {
            assert_eq!(field(schema.clone()).read(answer), Ok(Some(expected)), "{schema} {answer}");
        }
    }

    #[test]
    fn an_answer_that_does_not_fit_is_refused_with_what_does() {
        for (schema, answer, expected) in [
            (json!({ "type": "string", "maxLength": 3 }), "abcd", "from 0 to 3 characters"),
            (json!({ "type": "string", "minLength": 3 }), "ab", "3 or more characters"),
            (json!({ "type": "integer" }), "1.5", "whole number"),
            (json!({ "type": "number" }), "NaN", "a number"),
            (json!({ "type": "number", "maximum": 2 }), "3", "from any to 2"),
            (json!({ "type": "boolean" }), "maybe", "yes or no"),
            (json!({ "type": "string", "enum": ["a", "b"] }), "3", "from 1 to 2"),
            (json!({ "type": "string", "enum": ["a", "b"] }), "0", "from 1 to 2"),
            (json!({ "type": "array", "items": { "enum": ["a"] }, "minItems": 2 }), "a", "choose 2 or more"),
            (json!({ "type": "string" }), " ", "needs an answer"),
        ] {
            let why = field(schema).read(answer).unwrap_err();
            assert!(why.contains(expected), "{answer}: {why}");
        }
    }

    #[test]
    fn an_empty_answer_is_the_default_or_leaves_an_optional_field_out() {
        let form = json!({ "properties": {
            "a": { "type": "string", "default": "x", "title": "Its\u{1b}name", "description": "what it is" },
            "b": { "type": "string", "enum": ["p", "q"] } } });
        let fields = fields(&form);
        assert_eq!(fields[0].read(""), Ok(Some(json!("x"))));
        assert_eq!(fields[1].read(""), Ok(None));
        assert_eq!(fields[0].question(), "  Its\\u{1b}name (text, optional, default x): what it is");
        assert_eq!(fields[1].question(), "  b (one of, optional)\n    1) p\n    2) q");
    }
}
