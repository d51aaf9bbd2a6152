//! Tasks as resources.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::events::subscribe;
use crate::common::modern;
use crate::support::{Answers, Desk, Node, serve};

const TASKS: &str = "ringmesh://tasks";

fn read(node: &Node, uri: &str) -> Value {
    node.server.client().ask(modern(1, "resources/read", json!({ "uri": uri }))).json()
}

/// The JSON that a resource holds.
fn contents(node: &Node, uri: &str) -> Value {
    let answer = read(node, uri);
    let contents = &answer["result"]["contents"][0];
    assert_eq!(
        (&contents["uri"], &contents["mimeType"]),
        (&json!(uri), &json!("application/json")),
        "{answer}"
    );
    serde_json::from_str(contents["text"].as_str().unwrap()).unwrap()
}

#[test]
fn a_task_is_a_resource() {
    let node = serve(|_| {});
    let desk = Desk::new(&node, &node, Answers::Here);
    let id = desk.submit("t");
    assert_eq!(contents(&node, &format!("{TASKS}/{id}")), desk.task(&id));
    let counts = contents(&node, TASKS);
    assert_eq!((&counts["queued"], &counts["running"]), (&json!(1), &json!(0)));
    assert_eq!(counts["queued_by_type"], json!({ "t": 1 }));
    for unknown in ["f".repeat(32), "nonsense".to_owned()] {
        let uri = format!("{TASKS}/{unknown}");
        let answer = read(&node, &uri);
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["data"]["uri"]),
            (&json!(-32602), &json!(uri)),
            "{answer}"
        );
    }
    let listed = node.server.client().ask(modern(1, "resources/list", json!({}))).json();
    assert_eq!(listed["result"]["resources"][0]["uri"], TASKS);
    let templates = node.server.client().ask(modern(1, "resources/templates/list", json!({}))).json();
    assert_eq!(templates["result"]["resourceTemplates"][0]["uriTemplate"], "ringmesh://tasks/{task_id}");
}

#[test]
fn subscribers_hear_of_each_change_of_a_task() {
    let node = serve(|_| {});
    let desk = Desk::new(&node, &node, Answers::Here);
    let (id, other) = (desk.submit("t"), desk.submit("other"));
    let uri = format!("{TASKS}/{id}");
    let mut on_task = subscribe(node.server.addr, "task", json!({ "resourceSubscriptions": [uri] }));
    let mut on_all = subscribe(node.server.addr, "all", json!({ "resourceSubscriptions": [TASKS] }));
    desk.ok("p2p_taskqueue_complete_task", json!({ "task_id": other }));
    let event = on_all.event().json();
    assert_eq!(
        (&event["method"], &event["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!(TASKS))
    );
    assert!(on_task.is_quiet(Duration::from_millis(100)), "it is another task that changed");
    for change in 0..2 {
        match change {
            0 => assert_eq!(desk.claim("t")["task_id"], id.as_str()),
            _ => drop(desk.ok("p2p_taskqueue_complete_task", json!({ "task_id": id }))),
        }
        assert_eq!(on_task.event().json()["params"]["uri"], uri.as_str());
        assert_eq!(on_all.event().json()["params"]["uri"], TASKS);
    }
}

#[test]
fn without_the_tools_there_are_no_tasks_to_read() {
    let node = serve(|config| config.taskqueue_tools = false);
    assert!(read(&node, TASKS)["error"].is_object());
}
