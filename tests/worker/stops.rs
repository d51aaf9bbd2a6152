//! Signals.

use serde_json::json;

use crate::fake::{Queue, Worker, eventually, runs, task};

#[test]
fn the_first_signal_lets_what_runs_end_and_claims_no_more() {
    let queue = Queue::of(vec![task("a1", json!({})), task("a2", json!({}))]);
    let server = queue.serve();
    let worker = Worker::start(&server, "sleep 1.21; echo '{}'", &[]);
    eventually("the command runs", || runs("1.21"));
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let script = queue.script();
    assert_eq!(
        (script.ends.len(), &script.ends[0]["status"], script.tasks.len()),
        (1, &json!("completed"), 1)
    );
}

#[test]
fn what_does_not_end_in_time_is_killed_and_goes_back() {
    let queue = Queue::of(vec![task("a1", json!({}))]);
    let server = queue.serve();
    let worker = Worker::start(&server, "sleep 8805", &["--drain-s", "0.3"]);
    eventually("the command runs", || runs("8805"));
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let end = queue.ends(1).remove(0);
    assert_eq!((&end["status"], &end["retryable"]), (&json!("failed"), &json!(true)));
    assert!(!runs("8805"));
}

#[test]
fn a_second_signal_ends_the_worker_and_its_commands_at_once() {
    let queue = Queue::of(vec![task("a1", json!({}))]);
    let server = queue.serve();
    let worker = Worker::start(&server, "trap '' TERM; sleep 8806; sleep 8806", &[]);
    eventually("the command runs", || runs("8806"));
    worker.signal("TERM");
    std::thread::sleep(std::time::Duration::from_millis(200));
    worker.signal("TERM");
    assert_eq!(worker.ended().0.code(), Some(130));
    eventually("no command is left", || !runs("8806"));
}
