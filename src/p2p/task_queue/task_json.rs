//! A task as peers read it, in so many bytes at most.

use crate::mcp::json::{self, Object};
use crate::queue::{Now, State, Status, Task};

/// What a task takes besides its payload and result, mostly.
const TASK_BYTES: usize = 640;
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
    let result_text = state.result.as_deref().filter(|_| result);
    let texts = core.payload.len() + result_text.map_or(0, str::len);
    json::object_of(TASK_BYTES + texts, |object| {
        object.string("task_id", &core.id.text());
        object.string("task_type", &core.task_type);
        object.string("model_name", &core.model_name);
        object.raw("payload", if payload { &core.payload } else { "{}" });
        object.string("status", state.status.as_str());
        let worker = state.holder.as_ref().map(|holder| &*holder.worker);
        text_or_null(object, "assigned_worker", worker);
        seconds(object, "created_at", core.created_ms);
        seconds(object, "updated_at", state.updated_ms);
        object.raw("result", result_text.unwrap_or("null"));
        let error = state.error.as_deref().map(|error| if result { error } else { cut(error) });
        text_or_null(object, "error", error);
        object.number("priority", core.priority.into());
        object.number("attempt", state.attempts.into());
        object.number("max_attempts", core.max_attempts.into());
        text_or_null(object, "idempotency_key", core.idempotency_key.as_deref());
        times(object, state, now);
        if state.dead {
            object.raw("dead_letter", "true");
        }
        if !(payload && result) {
            let left_out = [(payload, "payload"), (result, "result")];
            let names = left_out.iter().filter(|(there, _)| !there).map(|(_, name)| *name);
            object.value("omitted", &names.collect::<Vec<_>>());
        }
    })
}

/// When it may be claimed, or by when it is to be done, and under which token.
fn times(object: &mut Object<'_>, state: &State, now: Now) {
    let at = |mono_ms: i64| now.wall_ms.saturating_add_signed(mono_ms.saturating_sub(now.mono_ms));
    match state.status == Status::Queued && state.not_before_ms > now.mono_ms {
        true => seconds(object, "next_attempt_at", at(state.not_before_ms)),
        false => object.raw("next_attempt_at", "0.0"),
    }
    let runs = state.status == Status::Running;
    match runs {
        true => seconds(object, "lease_until", at(state.lease_until_ms)),
        false => object.raw("lease_until", "null"),
    }
    // A heartbeat leaves no trace but the lease that it renewed.
    object.raw("heartbeat_at", "null");
    if runs {
        object.number("fencing_token", state.token);
    }
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
fn seconds(object: &mut Object<'_>, key: &str, ms: u64) {
    object.number(key, ms / 1_000);
    let digit = |ten_to: u64| b'0' + (ms / ten_to % 10) as u8;
    object.extend(&[b'.', digit(100), digit(10), digit(1)]);
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
