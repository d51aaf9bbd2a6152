//! Validation of a tool's arguments and of its structured content.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::mcp::schema::document::{Schema, compile};
use crate::mcp::schema::explain;

/// How the arguments of one tool are checked.
pub(crate) struct InputCheck {
    schema: Value,
    /// Compiled at registration when it runs on every call, else when a refusal must be explained.
    validator: OnceLock<Validator>,
    always: bool,
}

impl InputCheck {
    /// `covered`: the typed read enforces the whole schema.
    pub(crate) fn new(schema: &Schema, covered: bool) -> Result<InputCheck, String> {
        let validator = if covered { OnceLock::new() } else { OnceLock::from(schema.compile()?) };
        Ok(InputCheck { schema: schema.value.clone(), validator, always: !covered })
    }

    /// Reads arguments into the tool's type, or says what is wrong with them.
    pub(crate) fn read<A: DeserializeOwned>(&self, arguments: &str) -> Result<A, String> {
        if !self.always
            && let Ok(read) = serde_json::from_str(arguments)
        {
            return Ok(read);
        }
        let value = self.validated(arguments)?;
        if let Ok(read) = serde_json::from_str(arguments) {
            return Ok(read);
        }
        // To JSON Schema 1.0 is an integer, to serde it is not.
        serde_json::from_value(whole_numbers(value)).map_err(|error| error.to_string())
    }

    /// Reads arguments as they are, or says what is wrong with them.
    pub(crate) fn validated(&self, arguments: &str) -> Result<Value, String> {
        let value = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
        if let Some(validator) = self.validator()
            && let Some(problem) = explain::violations(validator, &value)
        {
            return Err(problem);
        }
        Ok(value)
    }

    /// `None` only for a schema that covers by shape and still does not compile, which no derived schema is.
    fn validator(&self) -> Option<&Validator> {
        if self.validator.get().is_none() {
            let _ = self.validator.set(compile(&self.schema).ok()?);
        }
        self.validator.get()
    }
}

/// Numbers like `1.0` as `1`, everywhere in the value.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float)
                if number.is_f64() && float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 =>
            {
                Value::Number(Number::from(float as i64))
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(whole_numbers).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, whole_numbers(value))).collect())
        }
        other => other,
    }
}

/// How the structured content of one tool is checked.
pub(crate) struct OutputCheck(Validator);

impl OutputCheck {
    pub(crate) fn new(schema: &Schema) -> Result<OutputCheck, String> {
        Ok(OutputCheck(schema.compile()?))
    }

    /// Checks structured content, given as JSON text; its absence is a violation.
    pub(crate) fn check(&self, structured: Option<&str>) -> Result<(), String> {
        let text = structured.ok_or("there is no structured content")?;
        let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match explain::violations(&self.0, &value) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    struct Count {
        count: u32,
    }

    fn check(covered: bool) -> InputCheck {
        let schema = json!({"type": "object", "properties": {"count": {"type": "integer", "minimum": 0}},
            "required": ["count"]});
        InputCheck::new(&Schema::read(&schema.into()).unwrap(), covered).unwrap()
    }

    #[test]
    fn refusals_are_explained_by_the_schema_on_both_paths() {
        for covered in [true, false] {
            let check = check(covered);
            assert_eq!(check.read::<Count>(r#"{"count":3}"#).unwrap().count, 3);
            assert_eq!(
                check.read::<Count>(r#"{"count":-1}"#).unwrap_err(),
                "`count` must be at least 0, not -1"
            );
            assert_eq!(check.read::<Count>("{}").unwrap_err(), "`count` is required");
            assert!(
                check.read::<Count>(r#"{"count":1,"count":2}"#).is_ok_and(|count| count.count == 2)
                    || covered
            );
        }
    }

    #[test]
    fn a_whole_number_with_a_fraction_point_is_an_integer() {
        for covered in [true, false] {
            assert_eq!(check(covered).read::<Count>(r#"{"count":3.0}"#).unwrap().count, 3);
            assert!(check(covered).read::<Count>(r#"{"count":3.5}"#).is_err());
        }
    }

    #[test]
    fn what_the_schema_allows_and_the_type_does_not_is_still_refused() {
        let error = check(true).read::<Count>(r#"{"count":99999999999}"#).unwrap_err();
        assert!(error.contains("99999999999"), "{error}");
    }

    #[test]
    fn missing_structured_content_is_a_violation() {
        let schema = Schema::read(&json!({"type": "object"}).into()).unwrap();
        let check = OutputCheck::new(&schema).unwrap();
        assert!(
            check.check(None).is_err() && check.check(Some("[]")).is_err() && check.check(Some("{}")).is_ok()
        );
    }
}
