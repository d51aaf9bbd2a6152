//! A mix as its file writes it: TOML, or JSON with the same members.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MixFile {
    /// Connections where the command line names none.
    pub(crate) connections: Option<u32>,
    /// Requests in flight on each connection, where the command line does not say.
    pub(crate) pipeline: Option<u32>,
    /// The length of `{message}`, where the command line does not say.
    pub(crate) message_bytes: Option<u32>,
    pub(crate) operation: Vec<OperationFile>,
}

/// One thing that a client does, of one request or of several.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationFile {
    pub(crate) name: String,
    /// How often it comes, in relation to the others.
    #[serde(default = "one")]
    pub(crate) weight: u32,
    /// Whether it opens a connection, and in the older revisions a session, of its own.
    #[serde(default)]
    pub(crate) fresh_connection: bool,
    pub(crate) step: Vec<StepFile>,
}

/// One request and what its answer must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepFile {
    /// `tools/call` where there is none.
    pub(crate) method: Option<String>,
    /// The `name` of a `tools/call`.
    pub(crate) tool: Option<String>,
    /// The `arguments` of a `tools/call`.
    pub(crate) arguments: Option<Value>,
    /// All of the params, of any method.
    pub(crate) params: Option<Value>,
    #[serde(default)]
    pub(crate) check: CheckFile,
    /// What later steps may use: names, and JSON pointers into this answer.
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, String>,
}

/// What an answer must be; places in it are JSON pointers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckFile {
    /// The text of the only content of a result.
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) equals: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) exists: Vec<String>,
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// The answer must be a JSON-RPC error of this code.
    pub(crate) error_code: Option<i64>,
    /// The result must say that the tool failed.
    #[serde(default)]
    pub(crate) tool_error: bool,
}

fn one() -> u32 {
    1
}

/// The text of a file; an error says what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the mix {}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if length > MAX_FILE_BYTES {
        return Err(failed(&format!("{length} bytes, and at most {MAX_FILE_BYTES} are read")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(&error))
}

/// Reads a mix, as JSON where its first character is a brace.
pub(crate) fn parse(text: &str) -> Result<MixFile, String> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}
