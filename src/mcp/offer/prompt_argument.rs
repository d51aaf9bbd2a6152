//! The arguments of prompts: texts with names.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::mcp::message::era::Revision;
use crate::mcp::message::json::Object;

/// An argument of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptArgument {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) required: bool,
}

impl PromptArgument {
    /// An argument that may be left out.
    pub fn new(name: impl Into<String>) -> PromptArgument {
        PromptArgument { name: name.into(), title: None, description: None, required: false }
    }

    /// A name for people, told to clients of 2025-06-18 and later.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> PromptArgument {
        self.title = Some(title.into());
        self
    }

    /// What the argument is.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> PromptArgument {
        self.description = Some(description.into());
        self
    }

    /// The argument must be given: without it the handler does not run.
    #[must_use]
    pub fn required(mut self) -> PromptArgument {
        self.required = true;
        self
    }
}

/// Appends the list of arguments as JSON.
pub(crate) fn write(out: &mut Vec<u8>, arguments: &[PromptArgument], revision: Revision) {
    out.push(b'[');
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut object = Object::open(out);
        object.string("name", &argument.name);
        object.maybe("title", argument.title.as_deref().filter(|_| revision >= Revision::V2025_06_18));
        object.maybe("description", argument.description.as_deref());
        object.value("required", &argument.required);
        object.close();
    }
    out.push(b']');
}

/// Checks the arguments of one prompt; the error is a sentence without its subject.
pub(crate) fn check(arguments: &[PromptArgument]) -> Result<(), String> {
    for (index, argument) in arguments.iter().enumerate() {
        let name = &argument.name;
        check_name(name).map_err(|problem| format!("has an argument whose name {problem}"))?;
        if arguments[..index].iter().any(|earlier| earlier.name == *name) {
            return Err(format!("has the argument {name} twice"));
        }
    }
    Ok(())
}

/// Checks the name of a prompt or of an argument; the error is the end of a sentence.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    match (1..=128).contains(&name.len()) && !name.contains(char::is_control) {
        true => Ok(()),
        false => Err(format!("is {name:?}: use 1 to 128 bytes without control characters")),
    }
}

/// The arguments that a type's fields are, the required ones first; the error is a sentence without its subject.
pub(crate) fn of_type<A: JsonSchema>() -> Result<Vec<PromptArgument>, String> {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<A>().to_value();
    let none = Map::new();
    // A map admits any name; a structure without fields admits none.
    let open = schema.get("additionalProperties").is_some_and(|others| *others != false);
    let properties = match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => properties,
        None if !open && schema.get("type").is_some_and(|kind| kind == "object") => &none,
        None => {
            let problem =
                "takes arguments of a type that has no named fields: use a structure, or Prompt::raw";
            return Err(problem.to_owned());
        }
    };
    // The schema sorts properties by name, but keeps the required ones in the order of the fields.
    let required: Vec<&str> = match schema.get("required").and_then(Value::as_array) {
        Some(required) => required.iter().filter_map(Value::as_str).collect(),
        None => Vec::new(),
    };
    let others = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
    let names = required.iter().copied().chain(others);
    names.map(|name| argument(name, &properties[name], required.contains(&name))).collect()
}

fn argument(name: &str, schema: &Value, required: bool) -> Result<PromptArgument, String> {
    if is_compound(schema) {
        return Err(format!("has the argument {name}, which is no text, number, flag or plain enum"));
    }
    let text = |key| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(PromptArgument {
        name: name.to_owned(),
        title: text("title"),
        description: text("description"),
        required,
    })
}

/// True for arrays and objects, which a text cannot be read into.
fn is_compound(schema: &Value) -> bool {
    let compound = |kind: &Value| kind == "object" || kind == "array";
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(compound),
        Some(kind) => compound(kind),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Fields {
        /// The last by name
        zeta: String,
        alpha: u32,
        /// Nobody needs it
        maybe: Option<bool>,
        #[serde(default)]
        #[schemars(title = "By default")]
        default: String,
    }

    #[test]
    fn fields_become_arguments_the_required_ones_first() {
        let arguments = of_type::<Fields>().unwrap();
        let expected = [
            PromptArgument::new("zeta").description("The last by name").required(),
            PromptArgument::new("alpha").required(),
            PromptArgument::new("default").title("By default"),
            PromptArgument::new("maybe").description("Nobody needs it"),
        ];
        assert_eq!(arguments, expected);
        #[derive(JsonSchema)]
        struct Nothing {}
        assert_eq!(of_type::<Nothing>().unwrap(), []);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct List {
            tags: Vec<String>,
        }
        assert!(of_type::<List>().unwrap_err().contains("tags"));
        assert!(of_type::<String>().unwrap_err().contains("named fields"));
        assert!(of_type::<()>().unwrap_err().contains("named fields"));
        let map = of_type::<std::collections::BTreeMap<String, String>>();
        assert!(map.unwrap_err().contains("Prompt::raw"));
        assert!(check(&[PromptArgument::new("")]).unwrap_err().contains("1 to 128"));
        let twice = [PromptArgument::new("a"), PromptArgument::new("a")];
        assert_eq!(check(&twice).unwrap_err(), "has the argument a twice");
    }
}
