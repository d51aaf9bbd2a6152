//! `prompts/get`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::mcp::call::context::Target;
use crate::mcp::message::answer::{Outcome, Refusal, excerpt};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::handler::Started;
use crate::mcp::offer::prompt::Prompt;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::methods::{invalid, required};
use crate::mcp::serve::tools_call::CallMeta;

impl Dispatcher {
    /// Starts the prompt that the request names.
    pub(crate) fn get_prompt(
        &self,
        request: &Request<'_>,
        id: &str,
        meta: CallMeta,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let name = required(request.message.params.name, "name")?;
        let index = find_prompt(request, &name)?;
        let prompt = request.snapshot.catalog().prompt(index);
        let given = texts(request.message.params.arguments, "params.arguments")?;
        let arguments = known(prompt, given)?;
        let target = (Target::Prompt(index), prompt.timeout);
        let start = |context| match (prompt.handler)(&arguments, context) {
            Ok(future) => Started::Running(future),
            Err(problem) => Started::Invalid(problem),
        };
        self.begin(request, id, target, meta, start, out)
    }
}

pub(crate) fn find_prompt(request: &Request<'_>, name: &str) -> Result<u32, Refusal> {
    let found = request.snapshot.catalog().shelves().prompts.find(name);
    found.ok_or_else(|| Refusal::new(ErrorKind::UnknownPrompt, format!("Unknown prompt: {}", excerpt(name))))
}

/// A map of texts; null and absence mean none.
pub(crate) fn texts(raw: Option<&str>, member: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else { return Ok(BTreeMap::new()) };
    let Ok(Value::Object(members)) = serde_json::from_str(raw) else {
        return Err(invalid(&format!("{member} must be an object of strings")));
    };
    let mut texts = BTreeMap::new();
    for (name, value) in members {
        match value {
            Value::String(text) => drop(texts.insert(name, text)),
            // Some clients write null for what they leave out.
            Value::Null => {}
            _ => {
                let name = excerpt(&name);
                return Err(invalid(&format!("{member} must be an object of strings, and {name:?} is none")));
            }
        }
    }
    Ok(texts)
}

/// The prompt's arguments among those given, which must include the required ones; others have no meaning.
fn known(prompt: &Prompt, mut given: BTreeMap<String, String>) -> Result<Vec<(&str, String)>, Refusal> {
    let mut missing = Vec::new();
    let mut arguments = Vec::new();
    for argument in prompt.arguments() {
        match given.remove(&argument.name) {
            Some(text) => arguments.push((argument.name.as_str(), text)),
            None if argument.required => missing.push(argument.name.as_str()),
            None => {}
        }
    }
    match missing.is_empty() {
        true => Ok(arguments),
        false => {
            let (name, missing) = (&prompt.name, missing.join(", "));
            Err(invalid(&format!("the prompt {name} requires the arguments it lacks: {missing}")))
        }
    }
}
