//! The environment: our own names, the names users had before, and what other programs put there.

use super::error::{ConfigError, Problem};
use super::kind::Raw;
use super::load::{Given, Origin};
use super::settings::{Reading, Setting, settings};
use super::suggest::did_you_mean;

const PREFIX: &str = "RINGMESH_";

/// Names the configuration file.
pub(super) const CONFIG_FILE: &str = "RINGMESH_CONFIG";

/// What variables of the task queue of before mean now, by what follows their prefix: those that this server needs not.
const REPLACED: &[(&str, &str)] = &[
    (
        "QUEUE_PATH",
        "names a DuckDB file, which this server never opens: it keeps its tasks in a journal in data_dir. Let the \
         tasks of the old file end where they are, or submit them again; the file stays as it is",
    ),
    ("P2P_CACHE_DIR", "is ignored: the cache lives in the journal in data_dir"),
    ("P2P_CACHE_REPLICATE", "is ignored: a value of the cache stays on the node that it was given to"),
];

/// Variables of features that are not in this version: they never stop the start, but are not silently ignored.
const LATER: &[&str] = &["IPFS_ACCELERATE_PY_TASK_", "IPFS_DATASETS_PY_TASK_"];

/// The process's variables that concern us, as text.
pub(super) fn of_process() -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if is_ours(&name) || settings().iter().any(|setting| has_alias(setting, &name)) => {
                let message = "the value is not UTF-8 text".to_owned();
                problems.push(Problem {
                    key: name.clone(),
                    value: None,
                    origin: Origin::Environment(name),
                    message,
                });
            }
            Err(_) => {}
        }
    }
    ConfigError::unless_empty(problems)?;
    Ok(variables)
}

/// Reads the variables: older names first, so that ours win. An empty value counts as not set.
pub(super) fn read<'a>(
    variables: &[(String, String)],
    table: &'a [Setting],
    problems: &mut Vec<Problem>,
) -> Vec<Given<'a>> {
    let given = |setting: &'a Setting, name: &str, reading: Reading| {
        let (_, value) =
            variables.iter().find(|(n, v)| n == name && !v.trim().is_empty() && !is_service_link(n, v))?;
        let origin = Origin::Environment(name.to_owned());
        Some(Given { setting, raw: Raw::Text(value.clone()), reading, origin })
    };
    let mut values = Vec::new();
    for setting in table {
        values.extend(setting.aliases.iter().filter_map(|alias| given(setting, alias.name, alias.reading)));
        values.extend(given(setting, &setting.variable(), Reading::Same));
    }
    let names: Vec<String> = table.iter().map(Setting::variable).collect();
    for (name, value) in variables {
        let known = names.contains(name) || name == CONFIG_FILE;
        if is_ours(name) && !known && !is_service_link(name, value) {
            problems.push(unknown(name, &names));
        }
    }
    values
}

fn unknown(name: &str, names: &[String]) -> Problem {
    let hint = match name {
        // Most servers call it so; ours takes addresses with their ports.
        "RINGMESH_HOST" | "RINGMESH_PORT" => "; did you mean `RINGMESH_LISTEN=IP:PORT`?".to_owned(),
        _ => {
            let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
            let keys: Vec<String> = names.iter().map(|name| bare(name)).collect();
            let hint = did_you_mean(&bare(name), keys.iter().map(String::as_str));
            hint.replace('`', "").replace("mean ", &format!("mean {PREFIX}"))
        }
    };
    let origin = Origin::Environment(name.to_owned());
    Problem { key: name.to_owned(), value: None, origin, message: format!("there is no such setting{hint}") }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

fn has_alias(setting: &Setting, name: &str) -> bool {
    setting.aliases.iter().any(|alias| alias.name == name)
}

/// What container platforms set for a service that happens to be called `ringmesh` or `mcp`: never meant for us.
///
/// These are `<NAME>_SERVICE_HOST`, `<NAME>_SERVICE_PORT[_…]`, `<NAME>_PORT=tcp://…` and `<NAME>_PORT_8000_TCP[_…]`.
fn is_service_link(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix("MCP_")) else { return false };
    match rest.strip_prefix("PORT") {
        Some("") => value.starts_with("tcp://") || value.starts_with("udp://"),
        Some(tail) => {
            tail.strip_prefix('_').is_some_and(|tail| tail.starts_with(|c: char| c.is_ascii_digit()))
        }
        None => rest == "SERVICE_HOST" || rest == "SERVICE_PORT" || rest.starts_with("SERVICE_PORT_"),
    }
}

/// A sentence for each variable that is recognised and has no effect.
pub(super) fn notes(variables: &[(String, String)]) -> Vec<String> {
    let set = variables.iter().filter(|(_, value)| !value.trim().is_empty());
    set.filter(|(name, _)| !settings().iter().any(|setting| has_alias(setting, name)))
        .filter_map(|(name, _)| note(name))
        .collect()
}

fn note(name: &str) -> Option<String> {
    let rest = LATER.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let replaced = REPLACED.iter().find(|(start, _)| rest.starts_with(start));
    Some(match replaced {
        Some((_, what)) => format!("{name} {what}"),
        None => format!("{name} is set, but what it configures is not part of this version"),
    })
}
