//! Peers that say that they have tasks, and then answer something else.

use std::time::Duration;

use ringmesh::p2p::TASK_QUEUE_PROTOCOL;
use serde_json::{Value, json};

use super::common::{self, TestServer};
use super::node::until;
use super::peer::TestPeer;

/// What a peer answers to `workflow.fetch`.
type Script = Box<dyn Fn(&Value) -> Value + Send + Sync>;

/// A peer that has news in each heartbeat, and answers `workflow.fetch` by a script.
fn peer(fetched: impl Fn(&Value) -> Value + Send + Sync + 'static) -> TestPeer {
    let answer = move |request: &Value| {
        let clock = json!({ "node_id": "liar", "vector": { "liar": 1 }, "merkle_root": "" });
        let news = json!({ "clock": clock, "feed": "f", "through": 9 });
        vec![Some(match request["op"].as_str() {
            Some("peer.heartbeat") => json!({ "ok": true, "workflow": news }),
            Some("workflow.fetch") => fetched(request),
            _ => json!({ "ok": true }),
        })]
    };
    TestPeer::start(TASK_QUEUE_PROTOCOL, Box::new(answer))
}

/// A node that sends it heartbeats all the time.
fn node(peer: &TestPeer) -> TestServer {
    let mut config = common::config();
    config.p2p_heartbeat_ms = 100;
    config.p2p_bootstrap_peers = vec![peer.target()];
    TestServer::start(config)
}

fn heard(peer: &TestPeer, op: &str) -> Vec<Value> {
    peer.messages().into_iter().filter(|message| message["op"] == op).collect()
}

fn call(node: &TestServer, tool: &str) -> Value {
    node.client().call(tool, json!({})).json()["result"]["structuredContent"].take()
}

#[test]
fn a_peer_that_answers_nonsense_is_not_asked_again_and_again() {
    let long = "x".repeat(2 << 20);
    let page = |after: &Value, more: bool| json!({ "ok": true, "feed": "f", "after": after, "tasks": [], "through": after, "more": more });
    let endless = move |request: &Value| page(&request["after"], true);
    let scripts: [Script; 5] = [
        Box::new(|_| json!({ "ok": true })),
        Box::new(|_| json!({ "ok": false, "error": "connect" })),
        Box::new(move |_| json!({ "ok": true, "feed": long })),
        Box::new(
            |_| json!({ "ok": true, "feed": "f", "after": 9, "tasks": [], "through": 1, "more": false }),
        ),
        Box::new(endless),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let peer = peer(script);
        let node = node(&peer);
        until("heartbeats go on", || heard(&peer, "peer.heartbeat").len() >= 6);
        std::thread::sleep(Duration::from_millis(100));
        let fetches = heard(&peer, "workflow.fetch").len();
        assert!((1..=3).contains(&fetches), "script {number}: {fetches} fetches");
        assert_eq!(heard(&peer, "workflow.ack").iter().filter(|ack| ack["through"] != 0).count(), 0);
        let status = call(&node, "p2p_scheduler_status");
        assert_eq!((&status["success"], &status["pending_tasks"]), (&json!(true), &json!(0)));
    }
}

#[test]
fn what_can_be_read_of_a_page_is_taken() {
    let fetched = |request: &Value| {
        let me = &request["peer_id"];
        let task = json!({ "submitted_ms": 1, "submitter": "liar", "clock_root": "r", "members": [me], "task_id": "good",
            "workflow_id": "w", "name": "n", "tags": [], "priority": 5 });
        let mut loud = task.clone();
        loud["priority"] = json!("loud");
        let mut beyond = task.clone();
        (beyond["task_id"], beyond["priority"]) = (json!("beyond"), json!(99));
        let tasks = json!([7, { "task": loud }, { "task": beyond }, { "task": task }]);
        json!({ "ok": true, "feed": "f", "after": 0, "tasks": tasks, "through": 9, "more": false })
    };
    let peer = peer(fetched);
    let node = node(&peer);
    until("it is acknowledged", || heard(&peer, "workflow.ack").iter().any(|ack| ack["through"] == 9));
    let ack = &heard(&peer, "workflow.ack")[0];
    assert_eq!((&ack["feed"], &ack["peer_id"]), (&json!("f"), &heard(&peer, "workflow.fetch")[0]["peer_id"]));
    assert_eq!(call(&node, "p2p_get_next_task")["task"]["task_id"], "good");
    assert!(call(&node, "p2p_get_next_task")["task"].is_null());
    let metrics = node.client().ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(metrics.text().contains("ringmesh_workflow_refused_total 3\n"), "{}", metrics.text());
    assert!(heard(&peer, "workflow.fetch").len() <= 2, "what is known is not fetched again");
}
