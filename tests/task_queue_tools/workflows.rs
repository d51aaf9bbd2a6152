//! The tools of the workflow scheduler: what each answers when all goes well, and each refusal.

use std::time::{Duration, Instant};

use ringmesh::config::Secret;
use serde_json::{Value, json};

use crate::support::{Node, listed, serve};

/// Every tool of this family, with its parameters: those that must be there, and the others.
const TOOLS: [(&str, &[&str], &[&str]); 7] = [
    ("p2p_scheduler_status", &[], &[]),
    ("p2p_submit_task", &["name", "task_id", "workflow_id"], &["priority", "tags"]),
    ("p2p_get_next_task", &[], &[]),
    ("p2p_mark_task_complete", &["task_id"], &[]),
    ("p2p_check_workflow_tags", &["tags"], &[]),
    ("p2p_update_peer_state", &["clock_data", "peer_id"], &[]),
    ("p2p_get_merkle_clock", &[], &[]),
];

/// The answer of a tool, held to what it promises.
fn call(node: &Node, tool: &str, arguments: Value) -> Value {
    let answer = node.call(tool, arguments);
    assert_eq!(answer["tool"], tool);
    assert!(answer["timestamp"].as_f64().is_some_and(|time| time > 1.7e9), "{answer}");
    answer
}

fn ok(node: &Node, tool: &str, arguments: Value) -> Value {
    let answer = call(node, tool, arguments.clone());
    assert_eq!(answer["success"], true, "{tool} {arguments}: {answer}");
    answer
}

fn refused(node: &Node, tool: &str, arguments: Value) -> String {
    let answer = call(node, tool, arguments.clone());
    assert_eq!(answer["success"], false, "{tool} {arguments}: {answer}");
    answer["error"].as_str().unwrap().to_owned()
}

fn task(task_id: &str) -> Value {
    json!({ "task_id": task_id, "workflow_id": "w", "name": "n" })
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/scheduler.json")).unwrap()
}

#[test]
fn every_tool_takes_what_it_must_and_says_what_it_does() {
    let node = serve(|_| {});
    let tools = listed(&node.server);
    for (name, required, optional) in TOOLS {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        let schema = &tool["inputSchema"];
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let mut found: Vec<_> = properties.keys().map(String::as_str).collect();
        found.sort_unstable();
        let mut expected = [required, optional].concat();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name}");
        let must = schema["required"].as_array().cloned().unwrap_or_default();
        let mut must: Vec<_> = must.iter().filter_map(Value::as_str).collect();
        must.sort_unstable();
        assert_eq!(must, required, "{name}");
        assert!(properties.values().all(|schema| schema["description"].is_string()), "{name}");
        let reads = ["p2p_scheduler_status", "p2p_check_workflow_tags", "p2p_get_merkle_clock"];
        assert_eq!(tool["annotations"]["readOnlyHint"], reads.contains(&name), "{name}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        for member in ["success", "tool", "timestamp"] {
            let required = tool["outputSchema"]["required"].as_array().unwrap();
            assert!(required.contains(&json!(member)), "{name} {member}");
        }
        assert!(tool["title"].is_string() && tool["description"].is_string(), "{name}");
    }
}

#[test]
fn a_task_goes_from_its_submission_to_its_end() {
    let node = serve(|_| {});
    let urgent = json!({ "task_id": "u", "workflow_id": "w", "name": "urgent", "priority": 9,
        "tags": ["P2P_ONLY", "mine"] });
    let first = ok(&node, "p2p_submit_task", task("t"));
    assert_eq!(
        (&first["task_id"], &first["priority"], first.get("unknown_tags")),
        (&json!("t"), &json!(5), None)
    );
    assert_eq!(first["owner"], node.peer_id.as_str());
    assert_eq!(first["task_hash"], ringmesh::scheduler::workflow_task_hash("t", "w"));
    let second = ok(&node, "p2p_submit_task", urgent);
    assert_eq!(second["unknown_tags"], json!(["mine"]));
    let status = ok(&node, "p2p_scheduler_status", json!({}));
    assert_eq!((&status["peer_id"], &status["pending_tasks"]), (&json!(node.peer_id), &json!(2)));
    assert_eq!(
        (&status["queue_size"], &status["known_peers"], &status["peers"]),
        (&json!(2), &json!(0), &json!([]))
    );
    assert_eq!(status["merkle_clock"]["vector"][&node.peer_id], 2);
    let next = ok(&node, "p2p_get_next_task", json!({}));
    assert_eq!(
        (&next["task"]["task_id"], &next["task"]["priority"]),
        (&json!("u"), &json!(9)),
        "10 comes first"
    );
    assert_eq!(
        (&next["task"]["tags"], &next["task"]["workflow_id"]),
        (&json!(["p2p-only", "mine"]), &json!("w"))
    );
    assert_eq!(
        (&next["task"]["name"], &next["task"]["assigned_peer"]),
        (&json!("urgent"), &json!(node.peer_id))
    );
    assert_eq!(next["task"]["task_hash"], second["task_hash"]);
    let done = ok(&node, "p2p_mark_task_complete", json!({ "task_id": "u" }));
    assert_eq!((&done["task_id"], &done["already_completed"]), (&json!("u"), &json!(false)));
    let again = ok(&node, "p2p_mark_task_complete", json!({ "task_id": "u" }));
    assert_eq!(again["already_completed"], true);
    assert_eq!(ok(&node, "p2p_get_next_task", json!({}))["task"]["task_id"], "t");
    let none = ok(&node, "p2p_get_next_task", json!({}));
    assert!(none["task"].is_null() && none["message"].is_string(), "{none}");
    let status = ok(&node, "p2p_scheduler_status", json!({}));
    assert_eq!((&status["assigned_tasks"], &status["completed_tasks"]), (&json!(1), &json!(1)), "{status}");
}

#[test]
fn every_refusal_has_its_code() {
    let node = serve(|config| config.limits.max_workflow_tasks = 2);
    ok(&node, "p2p_submit_task", task("t"));
    let long = "x".repeat(513);
    let with = |field: &str, value: Value| {
        let mut task = task("new");
        task[field] = value;
        task
    };
    for (tool, arguments, error) in [
        ("p2p_submit_task", task("t"), "task_exists"),
        ("p2p_submit_task", task(""), "invalid_value"),
        ("p2p_submit_task", with("priority", json!(0)), "invalid_value"),
        ("p2p_submit_task", with("priority", json!(11)), "invalid_value"),
        ("p2p_submit_task", with("tags", json!([""])), "invalid_value"),
        ("p2p_submit_task", with("name", json!(long)), "too_large"),
        ("p2p_submit_task", with("workflow_id", json!(long)), "too_large"),
        ("p2p_submit_task", with("tags", json!([long])), "too_large"),
        ("p2p_submit_task", with("tags", json!(vec!["t"; 33])), "too_many_tags"),
        ("p2p_mark_task_complete", json!({ "task_id": "nobody's" }), "task_not_found"),
        ("p2p_update_peer_state", json!({ "peer_id": "", "clock_data": {} }), "invalid_value"),
        ("p2p_update_peer_state", json!({ "peer_id": "p", "clock_data": 5 }), "invalid_value"),
        (
            "p2p_update_peer_state",
            json!({ "peer_id": "p", "clock_data": { "vector": { "n": "x" } } }),
            "invalid_value",
        ),
    ] {
        assert_eq!(refused(&node, tool, arguments.clone()), error, "{tool} {arguments}");
    }
    ok(&node, "p2p_submit_task", task("last"));
    assert_eq!(refused(&node, "p2p_submit_task", task("one more")), "workflow_full");
    let status = ok(&node, "p2p_scheduler_status", json!({}));
    assert_eq!(
        (&status["pending_tasks"], &status["known_peers"]),
        (&json!(2), &json!(0)),
        "nothing else is kept"
    );
}

#[test]
fn a_task_is_completed_where_it_is_held() {
    let far = serve(|config| config.p2p_heartbeat_ms = 100);
    let near = serve(|config| {
        config.p2p_heartbeat_ms = 100;
        config.p2p_bootstrap_peers = vec![far.address.clone()];
    });
    let begun_at = Instant::now();
    let is_member =
        |node: &Node| ok(node, "p2p_scheduler_status", json!({}))["peers"][0]["is_member"] == true;
    while !(is_member(&near) && is_member(&far)) {
        assert!(begun_at.elapsed() < Duration::from_secs(30), "the two do not meet");
        std::thread::sleep(Duration::from_millis(20));
    }
    let owners = (0..1_000).map(|number| format!("t{number}"));
    let owned_there = |id: &String| ok(&near, "p2p_submit_task", task(id))["owner"] == far.peer_id.as_str();
    let id = owners.into_iter().find(owned_there).unwrap();
    assert_eq!(refused(&near, "p2p_mark_task_complete", json!({ "task_id": id })), "not_holder");
    while ok(&far, "p2p_get_next_task", json!({}))["task"]["task_id"] != id.as_str() {
        assert!(begun_at.elapsed() < Duration::from_secs(60), "the owner never gets it");
        std::thread::sleep(Duration::from_millis(20));
    }
    ok(&far, "p2p_mark_task_complete", json!({ "task_id": id }));
    while ok(&near, "p2p_scheduler_status", json!({}))["completed_tasks"] != 1 {
        assert!(begun_at.elapsed() < Duration::from_secs(60), "nobody hears that it is done");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tags_are_read_as_the_peers_that_exist_read_them() {
    let node = serve(|_| {});
    for row in vectors()["tags"].as_array().unwrap() {
        let answer = ok(&node, "p2p_check_workflow_tags", json!({ "tags": row["tags"] }));
        for member in ["should_bypass_github", "is_p2p_only", "tags"] {
            assert_eq!(answer[member], row[member], "{row}");
        }
        assert_eq!(answer.get("unknown_tags"), None);
    }
    let odd = ok(&node, "p2p_check_workflow_tags", json!({ "tags": ["P2P_ONLY", "mine"] }));
    assert_eq!((&odd["is_p2p_only"], &odd["unknown_tags"]), (&json!(true), &json!(["mine"])));
}

#[test]
fn a_clock_is_merged_and_makes_nobody_a_member() {
    let node = serve(|_| {});
    let start = ok(&node, "p2p_get_merkle_clock", json!({}));
    assert_eq!((&start["node_id"], &start["vector"]), (&json!(node.peer_id), &json!({ &node.peer_id: 0 })));
    let mut known = std::collections::BTreeMap::new();
    for (number, clock) in vectors()["clocks"].as_array().unwrap().iter().enumerate() {
        let arguments = json!({ "peer_id": format!("peer-{number}"), "clock_data": clock });
        let answer = ok(&node, "p2p_update_peer_state", arguments);
        assert_eq!(answer["peer_id"], format!("peer-{number}"));
        for (name, count) in clock["vector"].as_object().unwrap() {
            let most: &mut u64 = known.entry(name.clone()).or_default();
            *most = (*most).max(count.as_u64().unwrap());
        }
    }
    let clock = ok(&node, "p2p_get_merkle_clock", json!({}));
    for (name, count) in &known {
        assert_eq!(clock["vector"][name], *count, "{name}");
    }
    assert_ne!(clock["merkle_root"], start["merkle_root"]);
    assert_eq!(clock["merkle_root"].as_str().unwrap().len(), 64);
    let status = ok(&node, "p2p_scheduler_status", json!({}));
    assert_eq!(status["merkle_clock"]["merkle_root"], clock["merkle_root"]);
    let peers = status["peers"].as_array().unwrap();
    assert!(!peers.is_empty() && peers.iter().all(|peer| peer["is_member"] == false), "{status}");
    for number in 0..32 {
        let owner = ok(&node, "p2p_submit_task", task(&number.to_string()))["owner"].clone();
        assert_eq!(owner, node.peer_id.as_str(), "who was only told of owns nothing");
    }
}

#[test]
fn arguments_of_a_wrong_type_are_named_with_what_is_allowed() {
    let node = serve(|_| {});
    for (tool, arguments, name, allowed) in [
        ("p2p_submit_task", json!({ "workflow_id": "w", "name": "n" }), "task_id", "required"),
        ("p2p_submit_task", json!({ "task_id": "t", "workflow_id": "w", "name": 5 }), "name", "string"),
        ("p2p_check_workflow_tags", json!({ "tags": "p2p-only" }), "tags", "array"),
        ("p2p_update_peer_state", json!({ "peer_id": "p" }), "clock_data", "required"),
    ] {
        let answer = node.server.client().call(tool, arguments.clone()).json();
        assert_eq!(answer["result"]["isError"], true, "{tool} {arguments}: {answer}");
        let said = crate::common::text(&answer);
        assert!(said.contains(name) && said.contains(allowed), "{tool}: {said}");
    }
}

#[test]
fn the_tools_are_offered_where_they_are_switched_on() {
    let names = |node: &Node| {
        let names = listed(&node.server).iter().map(|tool| tool["name"].clone()).collect::<Vec<_>>();
        TOOLS.iter().filter(|(name, ..)| names.contains(&json!(name))).count()
    };
    assert_eq!(names(&serve(|_| {})), 7);
    assert_eq!(names(&serve(|config| config.taskqueue_tools = false)), 7);
    for off in [
        &serve(|config| config.workflow_tools = false),
        &serve(|config| config.p2p_tools = false),
        &serve(|config| config.p2p = false),
    ] {
        assert_eq!(names(off), 0);
    }
}

#[test]
fn a_peer_without_the_token_learns_nothing() {
    let far = serve(|config| config.p2p_token = Some(Secret("s3cret".to_owned())));
    let near = serve(|_| {});
    let call = json!({ "remote_multiaddr": far.address, "tool_name": "p2p_scheduler_status" });
    assert_eq!(near.call("p2p_taskqueue_call_tool", call)["error"], "unauthorized");
}
