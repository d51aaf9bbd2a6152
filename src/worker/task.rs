//! One claimed task, as the server's answer has it.

use serde_json::{Map, Value};

/// A task that this worker holds, or held.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id: letters, digits, `-` and `_`.
    pub id: String,
    /// What kind of work it is.
    pub task_type: String,
    /// The model that it asks for; may be empty.
    pub model_name: String,
    /// What it was submitted with.
    pub payload: Map<String, Value>,
    /// How often it was claimed, this time included; 1 where the server does not say.
    pub attempt: u64,
    /// What proves this claim; servers without leases send none.
    pub token: Option<u64>,
    /// Parts that the server left out of its answer because they were too long.
    pub omitted: Vec<String>,
}

impl Task {
    /// Reads a task object.
    ///
    /// # Errors
    /// A sentence, for an object without an id or type that can be used.
    pub fn read(value: &Value) -> Result<Task, String> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (id, task_type) = (text("task_id"), text("task_type"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 128 || !id.bytes().all(plain) {
            return Err("the server sent a task without an id of letters and digits".to_owned());
        }
        let attempt = value["attempts"].as_u64().or(value["attempt"].as_u64()).unwrap_or(1).max(1);
        let omitted = value["omitted"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Task {
            id,
            task_type,
            model_name: text("model_name"),
            payload: value["payload"].as_object().cloned().unwrap_or_default(),
            attempt,
            token: value["fencing_token"].as_u64(),
            omitted: omitted.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_read_with_what_newer_servers_add() {
        let task =
            Task::read(&json!({ "task_id": "0a", "task_type": "t", "model_name": "m", "payload": { "x": 1 },
            "attempts": 2, "fencing_token": 9 }));
        let task = task.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((task.attempt, task.token, &task.payload["x"]), (2, Some(9), &json!(1)));
        let old = Task::read(&json!({ "task_id": "0a", "task_type": "t", "payload": null }));
        assert!(old.is_ok_and(|task| task.attempt == 1 && task.token.is_none() && task.payload.is_empty()));
    }

    #[test]
    fn an_id_that_could_be_an_option_or_a_path_is_refused() {
        for id in [json!(""), json!("../x"), json!("a b"), json!(7), json!("x".repeat(129))] {
            assert!(Task::read(&json!({ "task_id": id, "task_type": "t" })).is_err(), "{id}");
        }
    }
}
