//! Servers that go away, come back, and refuse.

use serde_json::json;

use crate::fake::{Queue, Worker, eventually, runs, task};

#[test]
fn a_command_goes_on_while_the_server_restarts_and_its_end_is_told_then() {
    let queue = Queue::of(vec![task("a1", json!({}))]);
    let server = queue.serve();
    let address = server.addr;
    let worker = Worker::start(&server, "sleep 1.88; echo '{\"v\":1}'", &[]);
    eventually("the command runs", || runs("1.88"));
    server.stop().unwrap();
    eventually("the command ends while nobody listens", || !runs("1.88"));
    assert!(queue.script().ends.is_empty());
    let _server = queue.serve_at(address);
    let end = queue.ends(1).remove(0);
    assert_eq!((&end["fencing_token"], &end["result"]), (&json!(7), &json!({ "v": 1 })));
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("the server is gone"), "{log}");
}

#[test]
fn a_worker_may_start_before_its_server() {
    let queue = Queue::of(vec![task("a1", json!({}))]);
    let server = queue.serve();
    let address = server.addr;
    server.stop().unwrap();
    // Somebody who hangs up is there first, so that the worker has tried for certain.
    let nobody = std::net::TcpListener::bind(address).unwrap();
    let worker = Worker::at(address, &["--types", "t", "--exec", "cat"]);
    drop(nobody.accept().unwrap());
    drop(nobody);
    let _server = queue.serve_at(address);
    queue.ends(1);
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn an_end_is_told_until_the_server_takes_it_or_says_that_it_is_too_late() {
    let queue = Queue::of(vec![task("a1", json!({})), task("a2", json!({}))]);
    queue.script().refusals.extend(["overloaded", "overloaded", "lease_lost"]);
    let server = queue.serve();
    let _worker = Worker::start(&server, "cat", &[]);
    let ends = queue.ends(1);
    assert_eq!(ends[0]["task_id"], "a2", "the first task was lost on its third report");
}

#[test]
fn a_result_that_the_server_refuses_becomes_a_failure() {
    let queue = Queue::of(vec![task("a1", json!({}))]);
    queue.script().refusals.push_back("too_large");
    let server = queue.serve();
    let _worker = Worker::start(&server, "cat", &[]);
    let end = queue.ends(1).remove(0);
    assert_eq!((&end["status"], &end["retryable"]), (&json!("failed"), &json!(false)));
    assert!(end["error"].as_str().unwrap().contains("too_large"), "{end}");
}
