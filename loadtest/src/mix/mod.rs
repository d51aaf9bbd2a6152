//! Mixes: what clients do, how often, and what the answers must be. The built-in ones are files of the same form.

mod checks;
mod file;
mod text;

use std::path::Path;

use serde_json::Value;

use crate::key::filler;
use crate::options::Expect;
use crate::request::Dialect;

use checks::Checks;
use file::{MixFile, OperationFile, StepFile};

pub(crate) use text::{Fill, Text};

/// Most operations of a mix, and most steps of an operation.
const MAX_OPERATIONS: usize = 64;
const MAX_STEPS: usize = 32;
/// Largest weight of an operation.
const MAX_WEIGHT: u32 = 1_000_000;

const BUILT_IN: [(&str, &str); 8] = [
    ("echo", include_str!("../../mixes/echo.toml")),
    ("tools-list", include_str!("../../mixes/tools-list.toml")),
    ("queue-local", include_str!("../../mixes/queue-local.toml")),
    ("queue-remote", include_str!("../../mixes/queue-remote.toml")),
    ("long-poll", include_str!("../../mixes/long-poll.toml")),
    ("session-churn", include_str!("../../mixes/session-churn.toml")),
    ("large-bodies", include_str!("../../mixes/large-bodies.toml")),
    ("few-long-connections", include_str!("../../mixes/few-long-connections.toml")),
];

/// A mix as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    pub(crate) name: String,
    file: MixFile,
}

impl Mix {
    /// One of the built-in mixes; an error names them all.
    pub(crate) fn built_in(name: &str) -> Result<Self, String> {
        let found = BUILT_IN.iter().find(|(known, _)| *known == name);
        let (_, text) = found.ok_or_else(|| {
            let names: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            format!("there is no mix {name:?}; there are {}, and --mix-file", names.join(", "))
        })?;
        Self::new(name, text)
    }

    /// The mix in a file.
    pub(crate) fn from_file(path: &Path) -> Result<Self, String> {
        let text = file::read(path)?;
        Self::new(&path.display().to_string(), &text)
    }

    /// The mix that `text` writes.
    pub(crate) fn new(name: &str, text: &str) -> Result<Self, String> {
        let wrong = |error: String| format!("the mix {name}: {error}");
        let file = file::parse(text).map_err(wrong)?;
        let operations = file.operation.len();
        if !(1..=MAX_OPERATIONS).contains(&operations) {
            return Err(wrong(format!("{operations} operations; from 1 to {MAX_OPERATIONS} are allowed")));
        }
        for operation in &file.operation {
            let (steps, weight) = (operation.step.len(), operation.weight);
            if !(1..=MAX_STEPS).contains(&steps) || !(1..=MAX_WEIGHT).contains(&weight) {
                return Err(wrong(format!(
                    "{:?} has {steps} steps and the weight {weight}; allowed are 1 to {MAX_STEPS} steps and weights \
                     from 1 to {MAX_WEIGHT}",
                    operation.name
                )));
            }
        }
        Ok(Self { name: name.to_owned(), file })
    }

    /// Connections where the command line names none.
    pub(crate) fn connections(&self) -> Option<u32> {
        self.file.connections
    }

    /// Requests in flight on a connection, where the command line does not say.
    pub(crate) fn pipeline(&self) -> Option<u32> {
        self.file.pipeline
    }

    /// The length of a message, where the command line does not say.
    pub(crate) fn message_bytes(&self) -> Option<u32> {
        self.file.message_bytes
    }

    /// Whether an operation opens connections of its own.
    pub(crate) fn opens_connections(&self) -> bool {
        self.file.operation.iter().any(|operation| operation.fresh_connection)
    }
}

/// What a mix is made ready for.
#[derive(Debug, Clone)]
pub(crate) struct Setting<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) message_bytes: u32,
    /// What `{tool}` stands for.
    pub(crate) tool: &'a str,
    /// What `{remote}` stands for.
    pub(crate) remote: Option<&'a str>,
    pub(crate) expect: Expect,
    /// Whether any 200 answer is right that is as the first one.
    pub(crate) fixed: bool,
}

/// A mix made ready for one server.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) dialect: Dialect,
    pub(crate) operations: Vec<Operation>,
    pub(crate) message_bytes: usize,
    pub(crate) filler: Vec<u8>,
    pub(crate) expect: Expect,
    pub(crate) fixed: bool,
}

/// One operation, made ready.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) fresh_connection: bool,
    pub(crate) steps: Vec<Step>,
    /// How many values its steps keep.
    pub(crate) captures: usize,
}

/// One request, made ready.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its place among the steps of all operations.
    pub(crate) number: usize,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Text,
    pub(crate) checks: Checks,
    /// Whether a right answer depends on nothing but the call's id and message.
    pub(crate) plain: bool,
}

impl Script {
    /// Makes a mix ready; an error says what in it cannot be done.
    pub(crate) fn new(mix: &Mix, setting: &Setting<'_>) -> Result<Self, String> {
        let mut number = 0;
        let operations = mix.file.operation.iter().map(|operation| {
            Operation::new(operation, setting, &mut number)
                .map_err(|error| format!("the mix {}, operation {:?}: {error}", mix.name, operation.name))
        });
        Ok(Self {
            operations: operations.collect::<Result<_, _>>()?,
            dialect: setting.dialect.clone(),
            message_bytes: setting.message_bytes as usize,
            filler: filler(setting.message_bytes as usize),
            expect: setting.expect,
            fixed: setting.fixed,
        })
    }

    /// How many steps there are, all operations together.
    pub(crate) fn steps(&self) -> usize {
        self.operations.iter().map(|operation| operation.steps.len()).sum()
    }
}

impl Operation {
    fn new(file: &OperationFile, setting: &Setting<'_>, number: &mut usize) -> Result<Self, String> {
        let (mut names, mut steps) = (Vec::new(), Vec::new());
        for step in &file.step {
            steps.push(Step::new(step, setting, &mut names, *number)?);
            *number += 1;
        }
        Ok(Self {
            name: file.name.clone(),
            weight: file.weight,
            fresh_connection: file.fresh_connection,
            steps,
            captures: names.len(),
        })
    }
}

impl Step {
    fn new(
        step: &StepFile,
        setting: &Setting<'_>,
        names: &mut Vec<String>,
        number: usize,
    ) -> Result<Self, String> {
        let method = step.method.as_deref().unwrap_or("tools/call");
        if step.tool.is_none() && step.arguments.is_some() {
            return Err("a step has `arguments` only beside a `tool`".to_owned());
        }
        let mut params = match (&step.tool, &step.params) {
            (Some(_), Some(_)) => return Err("a step has `tool` or `params`, not both".to_owned()),
            (Some(tool), None) => {
                let arguments = step.arguments.clone().unwrap_or_else(|| serde_json::json!({}));
                serde_json::json!({"name": tool, "arguments": arguments})
            }
            (None, params) => params.clone().unwrap_or_else(|| serde_json::json!({})),
        };
        if !params.is_object() || method.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(format!("{method:?} must be visible ASCII and its params a table"));
        }
        replace(&mut params, setting)?;
        let body = Text::new(&setting.dialect.envelope(Some("\"{id}\""), method, params.clone()), names)?;
        for name in step.capture.keys() {
            if ["id", "message", "lane", "tool", "remote"].contains(&name.as_str()) || names.contains(name) {
                return Err(format!("{name:?} is taken; a value is kept under a name of its own"));
            }
            if name.is_empty() || name.bytes().any(|b| !b.is_ascii_lowercase() && b != b'_') {
                return Err(format!("{name:?} must be of small letters and _"));
            }
            names.push(name.clone());
        }
        if let Some(name) = setting.dialect.name_field(&params) {
            check_name(name, names)?;
        }
        let checks = Checks::new(step, names)?;
        let long_enough = !body.uses_message() || setting.message_bytes >= crate::checker::MIN_PATTERN_BYTES;
        let plain = body.is_plain() && checks.is_plain() && long_enough;
        Ok(Self { number, head: setting.dialect.head(method, &params), body, checks, plain })
    }
}

/// Whether a name can stand in the header as it stands in the params.
fn check_name(name: &str, captured: &[String]) -> Result<(), String> {
    if name.bytes().any(|byte| !byte.is_ascii_graphic() && byte != b' ') {
        return Err(format!("the name {name:?} stands in a header, and must be of visible ASCII"));
    }
    let is_fixed = Text::new(&Value::from(name).to_string(), captured)?.is_fixed();
    if is_fixed {
        Ok(())
    } else {
        Err(format!("the name {name:?} stands in a header, where nothing is filled in"))
    }
}

/// Puts what `{tool}` and `{remote}` stand for into every string.
fn replace(value: &mut Value, setting: &Setting<'_>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            *text = text.replace("{tool}", setting.tool);
            if text.contains("{remote}") {
                let remote = setting.remote.ok_or("it needs --remote, the multiaddr of the other node")?;
                *text = text.replace("{remote}", remote);
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, setting)),
        Value::Object(members) => members.values_mut().try_for_each(|member| replace(member, setting)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
