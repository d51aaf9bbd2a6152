//! A task as peers read it, in so many bytes at most.

use crate::mcp::json::{self, Object};
use crate::queue::{Now, Status, Task};

/// Characters of an error that stay where the result is left out.
const MAX_ERROR_CHARS: usize = 256;

/// What is left out of a task first where it would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Omit {
    /// The payload, which whoever asks for a result knows.
    PayloadFirst,
    /// The result, which whoever does the work does not need.
    ResultFirst,
}

/// The task as a JSON object. Where that would have more than `max_bytes`, parts of it are left out, and `omitted` names
/// them.
pub(super) fn task(task: &Task, now: Now, max_bytes: usize, omit: Omit) -> String {
    let whole = write(task, now, true, true);
    if whole.len() <= max_bytes {
        return whole;
    }
    let (payload, result) = match omit {
        Omit::PayloadFirst => (false, true),
        Omit::ResultFirst => (true, false),
    };
    let part = write(task, now, payload, result);
    if part.len() <= max_bytes { part } else { write(task, now, false, false) }
}

fn write(task: &Task, now: Now, payload: bool, result: bool) -> String {
    let (core, state) = (&task.core, &task.state);
    json::object(|object| {
        object.string("task_id", &core.id.to_string());
        object.string("task_type", &core.task_type);
        object.string("model_name", &core.model_name);
        object.raw("payload", if payload { &core.payload } else { "{}" });
        object.string("status", state.status.as_str());
        let worker = state.holder.as_ref().map(|holder| &*holder.worker);
        text_or_null(object, "assigned_worker", worker);
        object.raw("created_at", &seconds(core.created_ms));
        object.raw("updated_at", &seconds(state.updated_ms));
        object.raw("result", state.result.as_deref().filter(|_| result).unwrap_or("null"));
        text_or_null(
            object,
            "error",
            state.error.as_deref().map(|error| if result { error } else { cut(error) }),
        );
        object.raw("priority", &core.priority.to_string());
        object.raw("attempt", &state.attempts.to_string());
        object.raw("max_attempts", &core.max_attempts.to_string());
        text_or_null(object, "idempotency_key", core.idempotency_key.as_deref());
        let at =
            |mono_ms: i64| seconds(now.wall_ms.saturating_add_signed(mono_ms.saturating_sub(now.mono_ms)));
        let waits = state.status == Status::Queued && state.not_before_ms > now.mono_ms;
        object.raw("next_attempt_at", &if waits { at(state.not_before_ms) } else { "0.0".to_owned() });
        let runs = state.status == Status::Running;
        object.raw("lease_until", &if runs { at(state.lease_until_ms) } else { "null".to_owned() });
        // A heartbeat leaves no trace but the lease that it renewed.
        object.raw("heartbeat_at", "null");
        if runs {
            object.raw("fencing_token", &state.token.to_string());
        }
        if state.dead {
            object.raw("dead_letter", "true");
        }
        let left_out = [(payload, "payload"), (result, "result")];
        let names: Vec<_> = left_out.iter().filter(|(there, _)| !there).map(|(_, name)| *name).collect();
        if !names.is_empty() {
            object.value("omitted", &names);
        }
    })
}

fn text_or_null(object: &mut Object<'_>, key: &str, text: Option<&str>) {
    match text {
        Some(text) => object.string(key, text),
        None => object.raw(key, "null"),
    }
}

/// The beginning of an error, where there is little room.
fn cut(error: &str) -> &str {
    let end = error.char_indices().nth(MAX_ERROR_CHARS).map_or(error.len(), |(at, _)| at);
    &error[..end]
}

/// Seconds since the epoch as a number with a fraction, which is what peers read.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use futures_lite::future::block_on;
    use serde_json::Value;

    use super::*;
    use crate::queue::{Settings, Submit};
    use crate::store::Store;

    #[test]
    fn a_task_that_is_too_long_says_what_it_lacks() {
        let store = Store::in_memory(Settings::default());
        let submit = Submit {
            id: store.new_task_id(),
            task_type: "t".into(),
            model_name: "m".into(),
            payload: format!("{{\"x\":\"{}\"}}", "y".repeat(2_000)).into(),
            priority: 7,
            max_attempts: None,
            delay_ms: 0,
            session: None,
            sticky_worker: None,
            idempotency_key: None,
        };
        let id = block_on(store.submit(submit)).unwrap().id;
        let queued = store.task(id).unwrap();
        let read =
            |max, omit| -> Value { serde_json::from_str(&task(&queued, store.now(), max, omit)).unwrap() };
        let whole = read(4_000, Omit::PayloadFirst);
        assert_eq!(
            (&whole["priority"], &whole["status"], &whole["omitted"]),
            (&7.into(), &"queued".into(), &Value::Null)
        );
        assert!(whole["created_at"].is_f64() && whole["fencing_token"].is_null());
        let part = read(1_000, Omit::PayloadFirst);
        assert_eq!(
            (part["payload"].to_string(), part["omitted"].to_string()),
            ("{}".into(), "[\"payload\"]".into())
        );
        assert_eq!(read(1_000, Omit::ResultFirst)["omitted"].to_string(), "[\"payload\",\"result\"]");
    }
}
