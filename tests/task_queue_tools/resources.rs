//! Tasks as resources.

use std::process::Command;
use std::time::Duration;

use ringmesh::config::Secret;
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

/// What a peer without any standing reads over libp2p, and with which token.
fn read_as_peer(node: &Node, uri: &str, token: Option<&str>) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    command.args(["read", &node.address, uri, "--output", "json", "--timeout", "20"]);
    command.env_remove("RINGMESH_P2P_TOKEN").envs(token.map(|token| ("RINGMESH_P2P_TOKEN", token)));
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn who_does_not_show_the_shared_token_is_told_that_it_is_forbidden() {
    // Who comes to a listener on loopback need show nothing.
    let mut node = serve(|config| {
        config.p2p_listen = vec!["/ip4/0.0.0.0/tcp/0".to_owned()];
        config.p2p_token = Some(Secret("s3cret".to_owned()));
    });
    let port = node.address.split('/').nth(4).unwrap();
    node.address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", node.peer_id);
    let id = Desk::new(&node, &node, Answers::Here).submit("t");
    for uri in [TASKS.to_owned(), format!("{TASKS}/{id}"), format!("{TASKS}/{}", "f".repeat(32))] {
        for token in [None, Some("guess")] {
            let refused = read_as_peer(&node, &uri, token);
            assert_eq!(refused["error"]["code"], -33403, "{uri} {token:?}: {refused}");
            let said = refused["error"]["message"].as_str().unwrap();
            assert!(said.contains("ringmesh/token"), "it says what to do: {said}");
        }
    }
    let shown = read_as_peer(&node, &format!("{TASKS}/{id}"), Some("s3cret"));
    assert!(shown["contents"][0]["text"].as_str().unwrap().contains(&id), "{shown}");
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
