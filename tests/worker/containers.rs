//! Containers, with a docker that only writes down what it was asked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fake::{Queue, Worker, eventually, runs, typed};

/// A docker that writes its arguments to a file, one a line and an empty line after each call.
pub fn fake_docker(folder: &Path, run: &str) -> PathBuf {
    let program = folder.join("docker");
    let log = folder.join("calls").display().to_string();
    let script = format!(
        "#!/bin/sh\n(for a in \"$@\"; do printf '%s\\n' \"$a\"; done; echo) >> '{log}'\ncase $1 in run) {run};; build) echo built;; esac\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

pub fn calls(folder: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    text.split("\n\n")
        .map(|call| call.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|c: &Vec<_>| !c.is_empty())
        .collect()
}

fn worked(folder: &Path, tasks: Vec<Value>, flags: &[&str]) -> Vec<Value> {
    worked_by("echo ran", folder, tasks, flags)
}

fn worked_by(run: &str, folder: &Path, tasks: Vec<Value>, flags: &[&str]) -> Vec<Value> {
    let count = tasks.len();
    let queue = Queue::of(tasks);
    let server = queue.serve();
    let docker = fake_docker(folder, run).display().to_string();
    let mut all = vec!["--docker", "--docker-command", &docker];
    all.extend(flags);
    let worker = Worker::with(&server, &all);
    let ends = queue.ends(count);
    let (status, log) = worker.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    ends
}

#[test]
fn an_image_is_run_with_arguments_that_no_shell_reads() {
    let folder = tempfile::tempdir().unwrap();
    let payload = json!({ "image": "alpine:3", "command": ["echo", "$(touch /tmp/x); `id`", "-v"],
        "environment": { "A": "b c" } });
    let ends =
        worked(folder.path(), vec![typed("a1", "docker.execute", payload)], &["--docker-arg=--network=none"]);
    assert_eq!((&ends[0]["status"], &ends[0]["result"]["stdout"]), (&json!("completed"), &json!("ran\n")));
    let calls = calls(folder.path());
    assert_eq!(calls[0], ["info"]);
    let run = [
        "run",
        "--rm",
        "--name=ringmesh-a1-2",
        "--network=none",
        "--env=A=b c",
        "alpine:3",
        "echo",
        "$(touch /tmp/x); `id`",
        "-v",
    ];
    assert_eq!(calls[1], run);
    assert_eq!(calls[2], ["rm", "--force", "ringmesh-a1-2"]);
}

#[test]
fn a_docker_that_fails_itself_is_tried_again_and_an_image_that_does_is_not() {
    for (code, retryable) in [(125, true), (126, false), (127, false), (1, false)] {
        let folder = tempfile::tempdir().unwrap();
        let task = typed("a1", "docker.execute", json!({ "image": "alpine:3" }));
        let ends = worked_by(&format!("exit {code}"), folder.path(), vec![task], &[]);
        assert_eq!(
            (&ends[0]["status"], &ends[0]["retryable"]),
            (&json!("failed"), &json!(retryable)),
            "{code}"
        );
    }
}

#[test]
fn a_repository_is_built_and_then_run() {
    let folder = tempfile::tempdir().unwrap();
    let payload = json!({ "repo_url": "https://x/y", "branch": "main", "dockerfile_path": "Dockerfile",
        "context_path": ".", "build_args": { "B": "2" } });
    let ends = worked(folder.path(), vec![typed("a1", "docker.github", payload)], &[]);
    assert_eq!(ends[0]["result"]["stdout"], "ran\n", "what the build says is no result");
    let calls = calls(folder.path());
    let build =
        ["build", "--tag=ringmesh-task:a1", "-f", "Dockerfile", "--build-arg=B=2", "https://x/y.git#main:."];
    assert_eq!(calls[1], build);
    assert_eq!(calls[2], ["run", "--rm", "--name=ringmesh-a1-2", "ringmesh-task:a1"]);
}

#[test]
fn a_hostile_payload_reaches_no_docker_and_fails_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    let allowed = folder.path().join("allowed");
    std::fs::create_dir(&allowed).unwrap();
    std::os::unix::fs::symlink(&secret, allowed.join("link")).unwrap();
    let volume = |host: &Path| json!({ "image": "a", "volumes": { host.display().to_string(): "/x" } });
    let payloads = [
        json!({ "image": "--privileged" }),
        volume(&secret),
        volume(&allowed.join("link")),
        volume(&allowed.join("../secret")),
        volume(Path::new("/")),
        json!({ "image": "a", "environment": { "A": ["x"] } }),
    ];
    let tasks = payloads
        .iter()
        .enumerate()
        .map(|(at, payload)| typed(&format!("a{at}"), "docker.execute", payload.clone()));
    let allowed = allowed.display().to_string();
    for end in worked(folder.path(), tasks.collect(), &["--docker-allow-volume", &allowed]) {
        assert_eq!((&end["status"], &end["retryable"]), (&json!("failed"), &json!(false)), "{end}");
    }
    assert_eq!(calls(folder.path()), [["info"]]);
}

#[test]
fn a_container_that_takes_too_long_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::of(vec![typed("a1", "docker.execute", json!({ "image": "a" }))]);
    let server = queue.serve();
    let docker = fake_docker(folder.path(), "sleep 8807").display().to_string();
    let _worker = Worker::with(&server, &["--docker", "--docker-command", &docker, "--timeout-s", "0.3"]);
    let end = queue.ends(1).remove(0);
    assert_eq!(end["result"]["timed_out"], true);
    assert_eq!(calls(folder.path())[2], ["rm", "--force", "ringmesh-a1-2"]);
    eventually("the sleeper is gone", || !runs("8807"));
}
