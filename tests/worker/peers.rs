//! A worker that reaches its server over libp2p.

use ringmesh::ServerConfig;
use serde_json::{Value, json};

use crate::common::{self, TestServer};
use crate::fake::Worker;

fn call(server: &TestServer, tool: &str, arguments: Value) -> Value {
    server.client().call(tool, arguments).json()["result"]["structuredContent"].clone()
}

#[test]
fn tasks_come_and_go_over_libp2p() {
    let config = ServerConfig { p2p_listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()], ..common::config() };
    let server = TestServer::start(config);
    let health = server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
    let address = health["p2p"]["listen"][0].as_str().unwrap();
    let mut ids = Vec::new();
    for number in 0..3 {
        let task = json!({ "task_type": "t", "model_name": "m", "payload": { "n": number } });
        ids.push(call(&server, "p2p_taskqueue_submit", task)["task_id"].clone());
    }
    let worker = Worker::to(address, &["--types", "t", "--exec", "cat"]);
    for (number, id) in ids.iter().enumerate() {
        let wait = json!({ "task_id": id, "timeout_s": 20 });
        let task = call(&server, "p2p_taskqueue_wait_task", wait)["task"].clone();
        assert_eq!((&task["status"], &task["result"]["n"]), (&json!("completed"), &json!(number)), "{task}");
    }
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}
