//! Results as JSON objects: a new one is merged into what is there.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::request::Refusal;
use super::settings::Settings;

fn object(text: Option<&str>) -> Map<String, Value> {
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The result with another merged in: its keys win, but earlier `logs` and `progress` are kept and added to.
pub(super) fn results(
    before: Option<&str>,
    new: &str,
    settings: &Settings,
) -> Result<Option<Arc<str>>, Refusal> {
    let max = settings.max_result_bytes;
    if new.len() > max {
        return Err(Refusal::TooLarge { what: "result", max });
    }
    let value = serde_json::from_str(new).map_err(|_| Refusal::InvalidJson("result"))?;
    let new = match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => Map::from_iter([("result".to_owned(), other)]),
    };
    if new.is_empty() {
        return Ok(before.map(Arc::from));
    }
    let mut merged = object(before);
    for (key, value) in new {
        match (key.as_str(), merged.get_mut(&key), value) {
            ("logs", Some(Value::Array(kept)), Value::Array(more)) => kept.extend(more),
            ("progress", Some(Value::Object(kept)), Value::Object(more)) => kept.extend(more),
            (_, _, value) => {
                merged.insert(key, value);
            }
        }
    }
    finish(merged, settings).map(Some)
}

/// The result with news of a running task.
pub(super) fn progress(
    before: Option<&str>,
    news: Option<&str>,
    logs: &[Arc<str>],
    settings: &Settings,
) -> Result<Arc<str>, Refusal> {
    let mut merged = object(before);
    if let Some(news) = news {
        let Ok(Value::Object(news)) = serde_json::from_str(news) else {
            return Err(Refusal::InvalidJson("progress"));
        };
        match merged.get_mut("progress") {
            Some(Value::Object(kept)) => kept.extend(news),
            _ => drop(merged.insert("progress".to_owned(), Value::Object(news))),
        }
    }
    if !logs.is_empty() {
        let more = logs.iter().map(|line| Value::from(&**line));
        match merged.get_mut("logs") {
            Some(Value::Array(kept)) => kept.extend(more),
            _ => drop(merged.insert("logs".to_owned(), more.collect())),
        }
    }
    finish(merged, settings)
}

/// Bounds the logs, then the whole.
fn finish(mut merged: Map<String, Value>, settings: &Settings) -> Result<Arc<str>, Refusal> {
    if let Some(Value::Array(lines)) = merged.get_mut("logs") {
        let (mut keep, mut bytes) = (0, 0);
        for line in lines.iter().rev().take(settings.max_log_lines) {
            bytes += line.as_str().map_or_else(|| line.to_string().len(), str::len);
            if bytes > settings.max_log_bytes {
                break;
            }
            keep += 1;
        }
        lines.drain(..lines.len() - keep);
    }
    let max = settings.max_result_bytes;
    let text = Value::Object(merged).to_string();
    match text.len() > max {
        true => Err(Refusal::TooLarge { what: "result", max }),
        false => Ok(text.into()),
    }
}
