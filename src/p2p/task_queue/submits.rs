//! `submit`: a task from the fields of a request, and of its payload.

use std::borrow::Cow;
use std::sync::Arc;

use super::fields::{Field, Fields};
use super::readable;
use super::refusal::Refusal;
use crate::queue::{Now, Submit, TaskId};

/// What a task is that does not say.
const DEFAULT_TYPE: &str = "text-generation";
const DEFAULT_PRIORITY: u8 = 5;

/// Reads a submit. What the request does not say of priority, key, attempts, delay, session and worker, the payload may.
pub(super) fn read(fields: &Fields<'_>, id: TaskId, now: Now, max_depth: usize) -> Result<Submit, Refusal> {
    let payload = match fields.raw(Field::Payload) {
        Some(raw) if raw.starts_with('{') => Cow::Borrowed(raw),
        other => Cow::Owned(format!("{{\"payload\":{}}}", other.unwrap_or("null"))),
    };
    readable::check("payload", Some(&payload))?;
    let inside = Fields::read(payload.as_bytes(), max_depth)?;
    let both = [fields, &inside];
    let text = |names: &[Field]| both.iter().find_map(|fields| fields.text(names)).map(Arc::from);
    let number = |name| both.iter().find_map(|fields| fields.number_if_any(name));
    let at_ms = number(Field::NextAttemptAt).map(|at| (at * 1e3 - now.wall_ms as f64).max(0.0));
    let delay_ms = number(Field::DelayS).map(|delay| (delay * 1e3).max(0.0)).or(at_ms);
    Ok(Submit {
        id,
        task_type: fields.as_given(Field::TaskType).as_deref().unwrap_or(DEFAULT_TYPE).into(),
        model_name: fields.as_given(Field::ModelName).as_deref().unwrap_or_default().into(),
        priority: priority(&both),
        // A count beyond any bound is lowered to the bound.
        max_attempts: number(Field::MaxAttempts).map(|count| count.clamp(0.0, f64::from(u32::MAX)) as u32),
        delay_ms: delay_ms.unwrap_or(0.0) as u64,
        session: text(&[Field::SessionId, Field::Session, Field::P2pSession]),
        sticky_worker: text(&[Field::StickyWorkerId, Field::StickyWorker]),
        idempotency_key: text(&[Field::IdempotencyKey]),
        payload: payload.into(),
    })
}

/// 0 and less count as the lowest, what is no number as the middle.
fn priority(both: &[&Fields<'_>; 2]) -> u8 {
    let given = both.iter().find_map(|fields| fields.raw(Field::Priority).map(|raw| (fields, raw)));
    match given {
        Some((_, "0")) => 1,
        Some((fields, _)) => {
            let number = fields.number_if_any(Field::Priority);
            number.map_or(DEFAULT_PRIORITY, |number| number.clamp(1.0, 10.0) as u8)
        }
        None => DEFAULT_PRIORITY,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn submit(line: &str) -> Submit {
        let now = Now { mono_ms: 0, wall_ms: 1_000_000 };
        read(&Fields::read(line.as_bytes(), 64).unwrap(), TaskId(1), now, 64).unwrap()
    }

    #[test]
    fn a_payload_is_an_object_or_becomes_one() {
        for (given, kept) in [
            (r#"{"payload":{"a": 1}}"#, r#"{"a": 1}"#),
            (r#"{"payload":[1]}"#, r#"{"payload":[1]}"#),
            (r#"{"payload":null}"#, r#"{"payload":null}"#),
            ("{}", r#"{"payload":null}"#),
        ] {
            assert_eq!(&*submit(given).payload, kept);
        }
    }

    #[test]
    fn names_are_kept_as_they_are_given() {
        let odd = submit(r#"{"task_type":" spaced ","model_name":7}"#);
        assert_eq!((&*odd.task_type, &*odd.model_name), (" spaced ", "7"));
        let none = submit(r#"{"task_type":null,"model_name":null}"#);
        assert_eq!((&*none.task_type, &*none.model_name, none.priority), ("text-generation", "", 5));
    }

    #[test]
    fn what_the_request_does_not_say_the_payload_may() {
        let inside = submit(
            r#"{"payload":{"priority":"9","idempotency_key":"k","max_attempts":2,"next_attempt_at":1002.5,"session":"s","sticky_worker":"w"}}"#,
        );
        assert_eq!((inside.priority, inside.max_attempts, inside.delay_ms), (9, Some(2), 2_500));
        assert_eq!((inside.session.as_deref(), inside.sticky_worker.as_deref()), (Some("s"), Some("w")));
        assert_eq!(inside.idempotency_key.as_deref(), Some("k"));
        let outside = submit(r#"{"priority":99,"delay_s":"1.5","payload":{"priority":1,"delay_s":9}}"#);
        assert_eq!((outside.priority, outside.delay_ms), (10, 1_500));
        for (given, priority) in [("0", 1), ("-3", 1), ("\"x\"", 5), ("null", 5)] {
            assert_eq!(submit(&format!("{{\"priority\":{given}}}")).priority, priority, "{given}");
        }
    }
}
