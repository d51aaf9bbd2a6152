//! What is wrong with a command line is said before anything is claimed.

use std::process::Command;

use ringmesh::{Registry, Server, ServerConfig};

use crate::common::{TestServer, config};
use crate::fake::Worker;

fn refused(flags: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    let output = command.args(["worker", "--connect", "127.0.0.1:1"]).args(flags).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn flags_that_make_no_worker_are_refused() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "--types"),
        (&["--types", "a"], "--exec"),
        (&["--exec", "cat"], "--types"),
        (&["--docker", "--exec", "cat", "--docker-command", "/bin/true"], "--exec"),
        (&["--types", "a", "--exec", "cat", "--concurrency", "0"], "1..=256"),
        (&["--types", "a", "--exec", "cat", "--lease-s", "0"], "from 1 to"),
        (&["--types", "a", "--exec", "cat", "--worker-id", ""], "--worker-id"),
        (&["--types", "a", "--exec", "cat", "--docker-allow-volume", "/tmp"], "--docker"),
    ];
    for (flags, words) in cases {
        let (code, log) = refused(flags);
        assert!(code == Some(2) && log.contains(words), "{flags:?}: {code:?} {log}");
    }
}

#[test]
fn docker_must_answer() {
    let (code, log) = refused(&["--docker", "--docker-command", "/no/such/docker"]);
    assert!(code == Some(3) && log.contains("/no/such/docker"), "{code:?} {log}");
    let (code, log) = refused(&["--types", "docker.execute", "--docker-command", "/bin/false"]);
    assert!(code == Some(3) && log.contains("info fails"), "{code:?} {log}");
}

#[test]
fn a_server_without_the_queue_ends_the_worker() {
    let config = ServerConfig { taskqueue_tools: false, ..config() };
    let server = TestServer::run(Server::new(config).registry(Registry::new()));
    let worker = Worker::start(&server, "cat", &[]);
    let (status, log) = worker.ended();
    assert!(status.code() == Some(1) && log.contains("will not have this worker"), "{log}");
}
