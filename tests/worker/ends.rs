//! How commands end, and what the server hears of it.

use serde_json::{Value, json};

use crate::fake::{Queue, Worker, eventually, runs, task};

/// What the server was told of one task.
fn end_of(exec: &str, payload: Value, flags: &[&str]) -> Value {
    let queue = Queue::of(vec![task("a1", payload)]);
    let server = queue.serve();
    let worker = Worker::start(&server, exec, flags);
    let end = queue.ends(1).remove(0);
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    end
}

#[test]
fn a_json_object_on_standard_output_is_the_result() {
    let end = end_of("cat", json!({ "x": [1, "ü"] }), &[]);
    let expected =
        json!({ "task_id": "a1", "fencing_token": 7, "status": "completed", "result": { "x": [1, "ü"] } });
    assert_eq!(end, expected);
}

#[test]
fn the_environment_names_the_task_and_keeps_the_token() {
    let exec = "echo $RINGMESH_TASK_ID $RINGMESH_TASK_TYPE $RINGMESH_MODEL_NAME $RINGMESH_ATTEMPT [$RINGMESH_P2P_TOKEN]";
    assert_eq!(end_of(exec, json!({}), &[])["result"]["stdout"], "a1 t m 2 []\n");
}

#[test]
fn exit_codes_say_whether_to_try_again() {
    for (exec, retryable, words) in [
        ("exit 1", false, "exit code 1"),
        ("exit 75", true, "exit code 75"),
        ("no-such-command-here", true, "exit code 127"),
        ("kill -9 $$", true, "signal 9"),
    ] {
        let end = end_of(exec, json!({}), &[]);
        assert_eq!(
            (&end["status"], &end["retryable"]),
            (&json!("failed"), &json!(retryable)),
            "{exec}: {end}"
        );
        assert!(end["error"].as_str().unwrap().contains(words), "{exec}: {end}");
    }
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let end = end_of("sleep 8801 & sleep 8801", json!({}), &["--timeout-s", "0.3"]);
    assert_eq!((&end["status"], &end["retryable"]), (&json!("failed"), &json!(true)));
    assert!(end["error"].as_str().unwrap().contains("longer"), "{end}");
    eventually("both sleepers are gone", || !runs("8801"));
}

#[test]
fn what_a_command_leaves_behind_does_not_hold_it_up_and_is_killed() {
    let end = end_of("sleep 8802 & echo done", json!({}), &[]);
    assert_eq!(end["result"]["stdout"], "done\n");
    eventually("the sleeper is gone", || !runs("8802"));
}

#[test]
fn output_is_bounded_and_its_beginning_is_kept() {
    let end = end_of("echo first; yes | head -c 3000000", json!({}), &["--max-output-bytes", "1000"]);
    let result = &end["result"];
    assert_eq!((&result["truncated"], &result["stdout_bytes"]), (&json!(true), &json!(3_000_006)));
    let text = result["stdout"].as_str().unwrap();
    assert!(text.len() == 1_000 && text.starts_with("first\n"), "{}", text.len());
}

#[test]
fn a_command_need_not_read_its_input() {
    let end = end_of("echo {}", json!({ "x": "y".repeat(500_000) }), &[]);
    assert_eq!(end["status"], "completed");
}

#[test]
fn progress_and_logs_come_before_the_end() {
    let exec =
        r#"echo one >&2; echo '{"done":1}' >&3; echo nonsense >&3; sleep 1.3; echo two >&2; echo '{}'"#;
    let queue = Queue::of(vec![task("a1", json!({}))]);
    let server = queue.serve();
    let _worker = Worker::start(&server, exec, &[]);
    queue.ends(1);
    let script = queue.script();
    let told: Vec<Value> =
        script.beats.iter().filter_map(|beat| beat["progress"].as_array().cloned()).flatten().collect();
    let logs: Vec<&str> = told
        .iter()
        .flat_map(|t| t["logs"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    assert!(
        told.iter().any(|told| told["progress"] == json!({ "done": 1 }) && told["fencing_token"] == 7),
        "{told:?}"
    );
    assert!(logs.contains(&"one") && logs.contains(&"two"), "{logs:?}");
    assert!(logs.iter().any(|line| line.contains("descriptor 3")), "{logs:?}");
}

#[test]
fn a_cancelled_task_is_killed_and_not_reported() {
    let queue = Queue::of(vec![task("a1", json!({})), task("a2", json!({ "last": true }))]);
    let server = queue.serve();
    let exec = r#"grep -q last && echo '{}' || sleep 8803"#;
    let _worker = Worker::start(&server, exec, &[]);
    eventually("the command runs", || runs("8803"));
    queue.script().cancelled.push("a1".to_owned());
    let ends = queue.ends(1);
    assert_eq!((ends.len(), &ends[0]["task_id"]), (1, &json!("a2")));
    assert!(!runs("8803"));
}

#[test]
fn a_lost_lease_kills_the_command_and_nobody_is_told() {
    let queue = Queue::of(vec![task("a1", json!({})), task("a2", json!({ "last": true }))]);
    let server = queue.serve();
    let _worker = Worker::start(&server, r#"grep -q last && echo '{}' || sleep 8804"#, &[]);
    eventually("the command runs", || runs("8804"));
    queue.script().lost.push("a1".to_owned());
    let ends = queue.ends(1);
    assert_eq!((ends.len(), &ends[0]["task_id"]), (1, &json!("a2")));
    assert!(!runs("8804"));
}

#[test]
fn several_tasks_run_at_once() {
    let tasks = (0..4).map(|at| task(&format!("a{at}"), json!({}))).collect();
    let queue = Queue::of(tasks);
    let server = queue.serve();
    let begun = std::time::Instant::now();
    let _worker = Worker::start(&server, "sleep 2; echo '{}'", &["--concurrency", "4"]);
    queue.ends(4);
    assert!(begun.elapsed() < std::time::Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(queue.script().claims.iter().any(|claim| claim["max_tasks"] == 4));
}
