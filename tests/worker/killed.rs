//! A worker that is killed, and so can end nothing itself.

use std::os::unix::process::ExitStatusExt as _;

use serde_json::json;

use crate::containers::{calls, fake_docker};
use crate::fake::{Queue, Worker, eventually, runs, task, typed};

/// The number of the worker's reaper.
fn reaper_of(worker: &Worker) -> u32 {
    let id = worker.0.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let mut children = children.split_whitespace();
    children.find(|child| is_reaper(child)).expect("a worker has a reaper").parse().unwrap()
}

fn is_reaper(process: &str) -> bool {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.ends_with(b"\0worker-reaper\0")
}

#[test]
fn what_a_command_started_ends_when_the_worker_is_killed() {
    let queue = Queue::of(vec![task("a1", json!({})), task("a2", json!({}))]);
    let server = queue.serve();
    let worker = Worker::start(&server, "sleep 8811 & sleep 8812 & wait", &["--concurrency", "2"]);
    eventually("the sleepers run", || runs("8811") && runs("8812"));
    let reaper = reaper_of(&worker).to_string();
    // A service manager that stops a unit tells every process; the reaper is needed to the end.
    for name in ["-TERM", "-INT", "-HUP"] {
        assert!(std::process::Command::new("kill").args([name, &reaper]).status().unwrap().success());
    }
    worker.signal("KILL");
    assert_eq!(worker.ended().0.signal(), Some(9));
    eventually("no command is left, nor what it started", || !runs("8811") && !runs("8812"));
    eventually("the reaper is gone too", || !is_reaper(&reaper));
}

#[test]
fn the_container_of_a_killed_worker_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = ["a1", "a2"].map(|id| typed(id, "docker.execute", json!({ "image": "alpine:3" })));
    let queue = Queue::of(tasks.to_vec());
    let server = queue.serve();
    // The first container ends by itself, the second one does not.
    let run = "case $3 in *a2*) exec sleep 8813;; esac";
    let docker = fake_docker(folder.path(), run).display().to_string();
    let worker = Worker::with(&server, &["--docker", "--docker-command", &docker]);
    eventually("the second container runs", || runs("8813"));
    worker.signal("KILL");
    assert_eq!(worker.ended().0.signal(), Some(9));
    let removed =
        |name: &str| calls(folder.path()).iter().filter(|call| **call == ["rm", "--force", name]).count();
    eventually("the container is removed", || removed("ringmesh-a2-2") == 1 && !runs("8813"));
    assert_eq!(removed("ringmesh-a1-2"), 1, "what has ended is left alone");
}

#[test]
fn the_reaper_listens_to_its_worker_alone() {
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), b"+\0\0\0\0\0\0\0\0\x01\0\0\0").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    let output = command.arg("worker-reaper").stdin(input.reopen().unwrap()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("not for people"), "{said}");
}
