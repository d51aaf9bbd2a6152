//! The members of a payload, each checked for what it may hold.

use serde_json::{Map, Value};

use super::words;

/// Entries of one map or list.
const MAX_ENTRIES: usize = 256;
/// Members that are read here, or that belong to the queue.
const KNOWN: [&str; 22] = [
    "image",
    "command",
    "entrypoint",
    "environment",
    "volumes",
    "memory_limit",
    "cpu_limit",
    "working_dir",
    "repo_url",
    "branch",
    "dockerfile_path",
    "context_path",
    "build_args",
    "priority",
    "idempotency_key",
    "max_attempts",
    "next_attempt_at",
    "session",
    "session_id",
    "p2p_session",
    "sticky_worker",
    "sticky_worker_id",
];

/// A text, `None` where the member is missing, null or empty.
pub(super) fn text<'a>(payload: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match payload.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => Err(format!("{name} must not contain NUL")),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

/// Words: a list of texts, or one text that is split as a shell splits it, without a shell.
pub(super) fn words(payload: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{name} must be a text, or a list of at most {MAX_ENTRIES} texts, without NUL");
    let words = match payload.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) => words::split(text).map_err(|why| format!("{name}: {why}"))?,
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|word| word.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    match words.len() <= MAX_ENTRIES && words.iter().all(|word| !word.contains('\0')) {
        true => Ok(words),
        false => Err(wrong()),
    }
}

/// A map of texts; numbers and truth values are written out.
pub(super) fn map(payload: &Map<String, Value>, name: &str) -> Result<Vec<(String, String)>, String> {
    let object = match payload.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(object)) if object.len() <= MAX_ENTRIES => object,
        Some(_) => return Err(format!("{name} must be an object of at most {MAX_ENTRIES} texts")),
    };
    let entry = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(format!("each value of {name} must be a text")),
        };
        match value.contains('\0') {
            true => Err(format!("no value of {name} may contain NUL")),
            false => Ok((key.clone(), value)),
        }
    };
    object.iter().map(entry).collect()
}

/// Variables as `NAME=value`. A name alone would hand over the worker's own value.
pub(super) fn variables(payload: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let variable = |(key, value): (String, String)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let starts = key.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        match starts && key.bytes().all(plain) {
            true => Ok(format!("{key}={value}")),
            false => Err(format!(
                "a name in {name} begins with a letter or _, and has letters, digits, _ . - only"
            )),
        }
    };
    map(payload, name)?.into_iter().map(variable).collect()
}

/// The image, which stands where docker would also read an option.
pub(super) fn image(payload: &Map<String, Value>) -> Result<String, String> {
    let image = text(payload, "image")?.ok_or("image is missing: docker.execute needs one")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let starts = image.as_bytes()[0].is_ascii_alphanumeric();
    match starts && image.len() <= 512 && image.bytes().all(plain) {
        true => Ok(image.to_owned()),
        false => Err("image must begin with a letter or digit, and has letters, digits and . _ - / : @ only"
            .to_owned()),
    }
}

/// A line of the log for what is not done, so that nobody believes it was.
pub(super) fn remarks(payload: &Map<String, Value>) -> Vec<String> {
    let unknown = payload.keys().filter(|key| !KNOWN.contains(&key.as_str())).take(MAX_ENTRIES);
    unknown.map(|key| format!("[{key:?} in the payload is ignored by this worker]")).collect()
}
