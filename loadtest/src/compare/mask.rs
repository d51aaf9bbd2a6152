//! Answers without what differs from server to server and from call to call, so that the rest can be compared.

use serde_json::{Map, Value};

/// Members whose values are ids of tasks, claims and peers.
const IDS: [&str; 4] = ["task_id", "fencing_token", "peer_id", "timestamp"];
/// How the names of times end.
const TIMES: [&str; 3] = ["_at", "_until", "_ms"];

/// The answer with its ids, times, ports and peers blotted out; a text that is a JSON object becomes that object.
///
/// What is blotted out keeps its type, and null stays null.
pub(crate) fn masked(answer: &Value) -> Value {
    match answer {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), member(name, value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(masked).collect()),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ Value::Object(_)) => masked(&inner),
            _ => Value::String(masked_text(text)),
        },
        other => other.clone(),
    }
}

fn member(name: &str, value: &Value) -> Value {
    let blotted = IDS.contains(&name) || TIMES.iter().any(|end| name.ends_with(end));
    match value {
        Value::Number(_) if blotted => Value::String("(a number)".to_owned()),
        Value::String(_) if blotted => Value::String("(a text)".to_owned()),
        other => masked(other),
    }
}

/// A text without ports and peer ids.
fn masked_text(text: &str) -> String {
    let mut words = Vec::new();
    let mut after_tcp = false;
    for word in text.split('/') {
        let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        words.push(match word {
            _ if after_tcp && number => "(port)".to_owned(),
            _ if is_peer_id(word) => "(peer)".to_owned(),
            _ => without_port(word),
        });
        after_tcp = word == "tcp";
    }
    words.join("/")
}

/// Whether this is the id of an Ed25519 key in base58, as all nodes here have.
fn is_peer_id(word: &str) -> bool {
    word.len() == 52 && word.starts_with("12D3KooW") && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn without_port(word: &str) -> String {
    match word.split_once("127.0.0.1:") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}127.0.0.1:(port){rest}")
        }
        None => word.to_owned(),
    }
}

/// The JSON pointer of the first place where two values differ; `None` where they are equal.
pub(crate) fn difference(left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                match (left.get(name), right.get(name)) {
                    (Some(one), Some(other)) => {
                        if let Some(rest) = difference(one, other) {
                            return Some(format!("/{name}{rest}"));
                        }
                    }
                    _ => return Some(format!("/{name}")),
                }
            }
            None
        }
        (Value::Array(left), Value::Array(right)) => {
            let found = left.iter().zip(right).enumerate();
            let mut found =
                found.filter_map(|(at, (one, other))| Some(format!("/{at}{}", difference(one, other)?)));
            let shorter = || (left.len() != right.len()).then(|| format!("/{}", left.len().min(right.len())));
            found.next().or_else(shorter)
        }
        _ => (left != right).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PEER: &str = "12D3KooWBzXDErdfsqeqTozVp3SH1iy7GkdUxM7hfJJg7LdtyKg2";
    const OTHER: &str = "12D3KooWBCqSNuhqwyxY9Hmy848YtZVVY9c4hBzH6ihm7QrgaCYq";

    fn claim(id: &str, peer: &str, at: f64, token: u32, worker: &str) -> Value {
        let task = json!({"task_id": id, "created_at": at, "lease_until": at + 1800.0, "heartbeat_at": null,
            "fencing_token": token, "assigned_worker": worker, "attempt": 1});
        let object = json!({"ok": true, "task": task, "peer_id": peer});
        json!({"id": 7, "result": {"content": [{"type": "text", "text": object.to_string()}], "structuredContent": object}})
    }

    #[test]
    fn ids_times_ports_and_peers_make_no_difference() {
        let one = claim(&"a".repeat(32), PEER, 1_795_429_497.458, 2, "w");
        let other = claim(&"b".repeat(32), OTHER, 1_795_429_599.0, 77, "w");
        assert_eq!(difference(&masked(&one), &masked(&other)), None);
        let address = |port: u16, peer: &str| json!([format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}")]);
        assert_eq!(masked(&address(4001, PEER)), masked(&address(50_000, OTHER)));
        assert_eq!(masked(&json!("http://127.0.0.1:8000/mcp")), masked(&json!("http://127.0.0.1:9/mcp")));
    }

    #[test]
    fn everything_else_does_and_its_place_is_named() {
        let one = masked(&claim("a", PEER, 1.0, 2, "w"));
        let other = masked(&claim("a", PEER, 1.0, 2, "v"));
        let place = difference(&one, &other);
        assert_eq!(place.as_deref(), Some("/result/content/0/text/task/assigned_worker"));
        assert_eq!(difference(&json!({"a": [1, 2]}), &json!({"a": [1]})).as_deref(), Some("/a/1"));
        assert_eq!(difference(&json!({"a": 1}), &json!({"a": 1, "b": 2})).as_deref(), Some("/b"));
        assert_eq!(difference(&json!({"a": 1, "c": 2}), &json!({"a": 1})).as_deref(), Some("/c"));
        assert_eq!(difference(&json!(1), &json!("1")).as_deref(), Some(""));
    }

    #[test]
    fn a_missing_or_differently_typed_id_is_a_difference() {
        let id = masked(&json!({"task_id": "abc", "heartbeat_at": null}));
        assert!(difference(&id, &masked(&json!({"task_id": 7, "heartbeat_at": null}))).is_some());
        assert!(difference(&id, &masked(&json!({"task_id": "abc", "heartbeat_at": 1.5}))).is_some());
        assert!(difference(&id, &masked(&json!({"heartbeat_at": null}))).is_some());
    }
}
