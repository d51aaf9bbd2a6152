//! A server with tools of the task queue's names that do what a test says, and the worker as a child process.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ringmesh::{CallError, Context, Json, Registry, Server};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::common::{PATIENCE, TestServer, config};

#[derive(Deserialize, JsonSchema)]
pub struct Arguments {
    #[serde(flatten)]
    all: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    #[serde(flatten)]
    all: Map<String, Value>,
}

/// What the server does, and what it saw.
#[derive(Default)]
pub struct Script {
    pub tasks: VecDeque<Value>,
    /// Ids that the next heartbeats call cancelled.
    pub cancelled: Vec<String>,
    /// Ids that are not renewed.
    pub lost: Vec<String>,
    /// Errors for the next ends of tasks.
    pub refusals: VecDeque<&'static str>,
    pub claims: Vec<Value>,
    pub beats: Vec<Value>,
    pub ends: Vec<Value>,
    running: Vec<String>,
}

/// A queue that outlives its servers.
#[derive(Clone, Default)]
pub struct Queue(Arc<Mutex<Script>>);

impl Queue {
    pub fn of(tasks: Vec<Value>) -> Queue {
        let queue = Queue::default();
        queue.script().tasks.extend(tasks);
        queue
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    pub fn serve(&self) -> TestServer {
        self.serve_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn serve_at(&self, address: SocketAddr) -> TestServer {
        let mut config = config();
        config.taskqueue_tools = false;
        config.listen = vec![address];
        TestServer::run(Server::new(config).registry(self.registry()))
    }

    fn registry(&self) -> Registry {
        let tool = |registry: Registry, name: &'static str, answer: fn(&mut Script, Value) -> Value| {
            let queue = self.clone();
            registry.tool(name, "One of the queue's", move |arguments: Arguments, _: Context| {
                let answer = answer(&mut queue.script(), Value::Object(arguments.all));
                async move { Ok::<_, CallError>(Json(Answer { all: answer.as_object().cloned().unwrap() })) }
            })
        };
        let registry = tool(Registry::new(), "p2p_taskqueue_claim_next", claim);
        let registry = tool(registry, "p2p_taskqueue_heartbeat", beat);
        let registry = tool(registry, "p2p_taskqueue_get_task", |_, _| json!({ "ok": true, "task": null }));
        tool(registry, "p2p_taskqueue_complete_task", end)
    }

    /// Waits for the end of so many tasks, and returns them all.
    pub fn ends(&self, count: usize) -> Vec<Value> {
        eventually("the server hears of the ends", || self.script().ends.len() >= count);
        self.script().ends.clone()
    }
}

fn claim(script: &mut Script, arguments: Value) -> Value {
    script.claims.push(arguments);
    let task = script.tasks.pop_front();
    if let Some(task) = &task {
        script.running.push(task["task_id"].as_str().unwrap().to_owned());
    }
    json!({ "ok": true, "task": task })
}

fn beat(script: &mut Script, arguments: Value) -> Value {
    script.beats.push(arguments);
    let gone = |id: &&String| script.lost.contains(id) || script.cancelled.contains(id);
    let renewed: Vec<&String> = script.running.iter().filter(|id| !gone(id)).collect();
    json!({ "ok": true, "renewed": renewed, "cancelled": script.cancelled })
}

fn end(script: &mut Script, arguments: Value) -> Value {
    if let Some(code) = script.refusals.pop_front() {
        return json!({ "ok": false, "error": code });
    }
    let id = arguments["task_id"].as_str().unwrap().to_owned();
    script.running.retain(|running| *running != id);
    script.ends.push(arguments);
    json!({ "ok": true, "task_id": id })
}

pub fn task(id: &str, payload: Value) -> Value {
    typed(id, "t", payload)
}

pub fn typed(id: &str, task_type: &str, payload: Value) -> Value {
    json!({ "task_id": id, "task_type": task_type, "model_name": "m", "payload": payload, "status": "running",
        "attempts": 2, "fencing_token": 7 })
}

pub fn eventually(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + 2 * PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A worker; dropping it kills it.
pub struct Worker(pub Child);

impl Worker {
    /// Starts one for tasks of type `t`.
    pub fn start(server: &TestServer, exec: &str, more: &[&str]) -> Worker {
        let mut all = vec!["--types", "t", "--exec", exec];
        all.extend(more);
        Worker::with(server, &all)
    }

    pub fn with(server: &TestServer, flags: &[&str]) -> Worker {
        Worker::at(server.addr, flags)
    }

    pub fn at(address: SocketAddr, flags: &[&str]) -> Worker {
        Worker::to(&address.to_string(), flags)
    }

    /// A worker for any target that can be connected to.
    pub fn to(target: &str, flags: &[&str]) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh"));
        command.args(["worker", "--connect", target, "--wait-s", "0", "--lease-s", "1"]);
        command.args(flags).stdin(Stdio::null()).stderr(Stdio::piped()).env("RINGMESH_P2P_TOKEN", "s3cret");
        Worker(command.spawn().unwrap())
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Asks it to end, and returns how it did and what it logged.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.ended()
    }

    pub fn ended(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + 2 * PATIENCE;
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "the worker did not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status, log)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether any process has this text among its arguments: a mark that a test gave to its command.
pub fn runs(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(mark) && line.starts_with(b"sleep\0"))
}
