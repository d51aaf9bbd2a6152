//! Each tool when all goes well, answered here and there alike.

use serde_json::{Value, json};

use crate::support::{Desk, in_both};

/// One row: what is asked and what must be in the answer. `$name` in the arguments stands for what an earlier row kept
/// under that name.
struct Row {
    tool: &'static str,
    arguments: Value,
    /// Members of the answer, by JSON pointer.
    expected: Vec<(&'static str, Value)>,
    /// Keeps a member of the answer under a name.
    keep: Option<(&'static str, &'static str)>,
}

fn row(tool: &'static str, arguments: Value, expected: &[(&'static str, Value)]) -> Row {
    Row { tool, arguments, expected: expected.to_vec(), keep: None }
}

impl Row {
    fn keep(self, pointer: &'static str, name: &'static str) -> Row {
        Row { keep: Some((pointer, name)), ..self }
    }

    fn run(&self, desk: Desk<'_>, kept: &mut Vec<(&'static str, Value)>) {
        let tool = format!("p2p_taskqueue_{}", self.tool);
        let mut arguments = self.arguments.clone();
        fill(&mut arguments, kept);
        let answer = desk.ok(&tool, arguments.clone());
        for (pointer, expected) in &self.expected {
            let found = answer.pointer(pointer).cloned();
            assert_eq!(found.as_ref(), Some(expected), "{tool} {arguments}: {pointer} of {answer}");
        }
        if let Some((pointer, name)) = self.keep {
            kept.push((name, answer.pointer(pointer).unwrap().clone()));
        }
    }
}

fn fill(value: &mut Value, kept: &[(&'static str, Value)]) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix('$') {
                *value = kept.iter().rev().find(|(known, _)| *known == name).unwrap().1.clone();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, kept)),
        Value::Object(members) => members.values_mut().for_each(|value| fill(value, kept)),
        _ => {}
    }
}

fn run(rows: &[Row]) {
    in_both(|desk| {
        let mut kept = Vec::new();
        rows.iter().for_each(|row| row.run(desk, &mut kept));
    });
}

#[test]
fn a_task_goes_from_its_submit_to_its_end() {
    let payload =
        json!({ "s": "\u{e9}\u{1f600}\u{1}\"\\", "n": [1, -2, 2.5, null], "big": 9_007_199_254_740_993_u64 });
    run(&[
        row("submit", json!({ "task_type": "sum", "model_name": "m", "payload": payload }), &[])
            .keep("/task_id", "id"),
        row(
            "get_task",
            json!({ "task_id": "$id" }),
            &[
                ("/task/status", json!("queued")),
                ("/task/task_type", json!("sum")),
                ("/task/model_name", json!("m")),
                ("/task/payload", payload.clone()),
                ("/task/assigned_worker", Value::Null),
                ("/task/result", Value::Null),
            ],
        ),
        row(
            "wait_task",
            json!({ "task_id": "$id", "timeout_s": 0.05 }),
            &[("/task/status", json!("queued"))],
        ),
        row("list_tasks", json!({ "task_types": ["sum"] }), &[("/tasks/0/payload", payload.clone())]),
        row(
            "claim_next",
            json!({ "worker_id": "w", "supported_task_types": ["none"] }),
            &[("/task", Value::Null)],
        ),
        row(
            "claim_next",
            json!({ "worker_id": "w", "supported_task_types": ["sum"], "lease_s": 60 }),
            &[
                ("/task/status", json!("running")),
                ("/task/assigned_worker", json!("w")),
                ("/task/attempt", json!(1)),
            ],
        )
        .keep("/task/fencing_token", "token"),
        row(
            "list_tasks",
            json!({ "status": "running", "task_types": ["sum"] }),
            &[("/tasks/0/status", json!("running"))],
        ),
        row("heartbeat", json!({ "peer_id": "w", "worker_id": "w" }), &[("/peer", json!("w"))]),
        row(
            "complete_task",
            json!({
                "task_id": "$id", "status": "completed", "result": { "sum": 3 }, "fencing_token": "$token"
            }),
            &[],
        ),
        row(
            "wait_task",
            json!({ "task_id": "$id", "timeout_s": 5 }),
            &[("/task/status", json!("completed")), ("/task/result", json!({ "sum": 3 }))],
        ),
        row("list_tasks", json!({ "status": "queued", "task_types": ["sum"] }), &[("/tasks", json!([]))]),
    ]);
}

#[test]
fn what_has_no_such_task_says_null() {
    let nobody = "f".repeat(32);
    run(&[
        row("get_task", json!({ "task_id": nobody }), &[("/task", Value::Null)]),
        row("get_task", json!({ "task_id": "nonsense" }), &[("/task", Value::Null)]),
        row("wait_task", json!({ "task_id": nobody, "timeout_s": 60 }), &[("/task", Value::Null)]),
        row("list_tasks", json!({ "task_types": ["nothing"] }), &[("/tasks", json!([]))]),
        row("list_tasks", json!({ "status": "no such status" }), &[("/tasks", json!([]))]),
    ]);
}

#[test]
fn a_task_may_fail_and_be_cancelled() {
    in_both(|desk| {
        let failed = desk.submit("fails");
        desk.claim("fails");
        let arguments =
            json!({ "task_id": failed, "status": "failed", "error": "no disk", "retryable": false });
        desk.ok("p2p_taskqueue_complete_task", arguments);
        let task = desk.task(&failed);
        assert_eq!((&task["status"], &task["error"]), (&json!("failed"), &json!("no disk")));
        let cancelled = desk.submit("unwanted");
        desk.ok("p2p_taskqueue_complete_task", json!({ "task_id": cancelled, "status": "cancelled" }));
        assert_eq!(desk.task(&cancelled)["status"], "cancelled");
    });
}

#[test]
fn the_additions_of_submit_claim_and_list_reach_the_queue() {
    in_both(|desk| {
        let arguments = json!({
            "task_type": "more", "model_name": "m", "idempotency_key": "k", "priority": 2, "max_attempts": 7
        });
        let first = desk.ok("p2p_taskqueue_submit", arguments.clone());
        assert_eq!(desk.ok("p2p_taskqueue_submit", arguments)["task_id"], first["task_id"]);
        let task = desk.task(first["task_id"].as_str().unwrap());
        assert_eq!((&task["priority"], &task["max_attempts"]), (&json!(2), &json!(7)));
        let urgent = json!({ "task_type": "more", "model_name": "m", "priority": 9 });
        let urgent = desk.ok("p2p_taskqueue_submit", urgent);
        let late = json!({ "task_type": "late", "model_name": "m", "delay_s": 60 });
        desk.ok("p2p_taskqueue_submit", late);
        assert_eq!(desk.claim("late"), Value::Null);
        let page = desk.ok("p2p_taskqueue_list_tasks", json!({ "task_types": ["more"], "limit": 1 }));
        assert_eq!(page["tasks"].as_array().unwrap().len(), 1);
        let next = json!({ "task_types": ["more"], "limit": 5, "cursor": page["cursor"] });
        let next = desk.ok("p2p_taskqueue_list_tasks", next);
        assert_eq!((next["tasks"].as_array().unwrap().len(), next.get("cursor")), (1, None));
        assert_ne!(next["tasks"][0]["task_id"], page["tasks"][0]["task_id"]);
        let both = json!({ "worker_id": "w", "supported_task_types": ["more"], "max_tasks": 5 });
        let both = desk.ok("p2p_taskqueue_claim_next", both);
        assert_eq!((both["tasks"].as_array().unwrap().len(), &both["task"]), (2, &both["tasks"][0]));
        assert_eq!(both["task"]["task_id"], urgent["task_id"], "the urgent one comes first");
    });
}

#[test]
fn a_workers_heartbeat_renews_and_reports() {
    in_both(|desk| {
        let id = desk.submit("long");
        let claimed = desk.claim("long");
        let unknown = "f".repeat(32);
        let beat = json!({
            "peer_id": "p", "worker_id": "w", "clock": { "node_id": "n", "vector": { "n": 1 }, "merkle_root": "" },
            "progress": [
                { "task_id": id, "fencing_token": claimed["fencing_token"], "progress": { "part": 0.5 }, "logs": ["half"] },
                { "task_id": unknown, "progress": { "part": 1 } }
            ]
        });
        let answer = desk.ok("p2p_taskqueue_heartbeat", beat);
        assert_eq!((&answer["peer"], &answer["renewed"]), (&json!("p"), &json!([id])));
        assert!(answer["scheduler"]["clock"].is_object(), "{answer}");
        assert_eq!(answer["progress_errors"][0]["task_id"], unknown.as_str(), "{answer}");
        desk.ok("p2p_taskqueue_complete_task", json!({ "task_id": id, "result": { "done": true } }));
        let result = &desk.task(&id)["result"];
        assert_eq!((&result["done"], &result["progress"]["part"]), (&json!(true), &json!(0.5)), "{result}");
    });
}

#[test]
fn the_cache_and_the_status_answer() {
    run(&[
        row("cache_get", json!({ "key": "k" }), &[("/hit", json!(false))]),
        row("cache_set", json!({ "key": "k", "value": { "a": [1, null] } }), &[("/key", json!("k"))]),
        row(
            "cache_get",
            json!({ "key": "k", "timeout_s": 5 }),
            &[("/hit", json!(true)), ("/value", json!({ "a": [1, null] }))],
        ),
        row(
            "cache_set",
            json!({ "key": "soon gone", "value": 1, "ttl_s": 0.001 }),
            &[("/key", json!("soon gone"))],
        ),
        row("status", json!({}), &[("/session", json!(""))]),
        row("status", json!({ "detail": true }), &[("/queue/running", json!(0))]),
    ]);
}

#[test]
fn a_tool_of_the_node_is_called() {
    run(&[
        row(
            "call_tool",
            json!({ "tool_name": "echo", "args": { "message": "hi" } }),
            &[("/tool", json!("echo")), ("/result", json!("hi"))],
        ),
        row("call_tool", json!({ "tool_name": "server_status", "timeout_s": 5 }), &[])
            .keep("/result/version", "version"),
    ]);
}

#[test]
fn containers_are_submitted_as_their_workers_read_them() {
    in_both(|desk| {
        let hub = json!({
            "image": "alpine:3", "command": ["echo", "hi"], "entrypoint": "sh", "environment": { "A": "1" },
            "volumes": { "/a": "/b" }, "extra": { "memory_limit": "1g" }, "ignored": true
        });
        let github = json!({ "repo_url": "https://x/y", "build_args": { "B": "2" }, "extra": { "k": 1 } });
        for (tool, arguments, task_type, payload) in [
            (
                "p2p_taskqueue_submit_docker_hub",
                hub,
                "docker.execute",
                json!({
                    "image": "alpine:3", "command": ["echo", "hi"], "entrypoint": "sh", "environment": { "A": "1" },
                    "volumes": { "/a": "/b" }, "memory_limit": "1g"
                }),
            ),
            (
                "p2p_taskqueue_submit_docker_github",
                github,
                "docker.github",
                json!({
                    "repo_url": "https://x/y", "branch": "main", "dockerfile_path": "Dockerfile", "context_path": ".",
                    "build_args": { "B": "2" }, "k": 1
                }),
            ),
        ] {
            let answer = desk.ok(tool, arguments);
            let task = desk.task(answer["task_id"].as_str().unwrap());
            assert_eq!((&task["task_type"], &task["model_name"]), (&json!(task_type), &json!("docker")));
            assert_eq!(task["payload"], payload);
        }
    });
}
