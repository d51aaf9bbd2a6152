//! A node as a process that is killed and started again.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{self, Client, PATIENCE};

/// What takes longer than this does not happen.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// A running node.
pub(crate) struct Node {
    http: SocketAddr,
    process: Child,
    pub(crate) peer_id: String,
    /// Where peers reach it.
    pub(crate) address: String,
    data_dir: PathBuf,
    timing: Timing,
}

/// How often it sends heartbeats, and after how long a silence of others it takes their tasks over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) heartbeat_ms: u32,
    pub(crate) peer_timeout_ms: u32,
}

/// An empty folder of the build's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Node {
    /// Starts a node without a past, which dials these peers.
    pub(crate) fn new(name: &str, timing: Timing, peers: &[&Node]) -> Node {
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address.clone()).collect();
        Node::start(folder(name), timing, &addresses)
    }

    fn start(data_dir: PathBuf, timing: Timing, peers: &[String]) -> Node {
        let mut command = common::command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--max-cores", "2", "--p2p-dial", "any"]);
        command.args(["--p2p-listen", "/ip4/127.0.0.1/tcp/0", "--limit", "journal_segment_bytes=8388608"]);
        command.args(["--limit", &format!("workflow_peer_timeout_ms={}", timing.peer_timeout_ms)]);
        command.args(["--p2p-heartbeat-ms", &timing.heartbeat_ms.to_string()]);
        for peer in peers {
            command.args(["--p2p-bootstrap-peer", peer]);
        }
        command.arg("--data-dir").arg(&data_dir).env("NO_COLOR", "1");
        let (process, http) = serve(command);
        let health = Client::connect(http).ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (peer_id, address) = (text(&health["p2p"]["peer_id"]), text(&health["p2p"]["listen"][0]));
        Node { http, process, peer_id, address, data_dir, timing }
    }

    /// Kills it, without a word to anybody.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Kills it, and starts it again with what it has on its disk.
    pub(crate) fn restart(&mut self, peers: &[&Node]) {
        self.kill();
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address.clone()).collect();
        // The one that is dropped leaves the folder to the new one.
        let data_dir = std::mem::take(&mut self.data_dir);
        *self = Node::start(data_dir, self.timing, &addresses);
    }

    /// Calls a tool; its object.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let mut answer = Client::connect(self.http).call(tool, arguments).json();
        answer["result"]["structuredContent"].take()
    }

    /// As [`Node::call`], for what must succeed.
    pub(crate) fn ok(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.call(tool, arguments.clone());
        assert_eq!(answer["success"], true, "{tool} {arguments}: {answer}");
        answer
    }

    /// Submits a task; the peer that owns it.
    pub(crate) fn submit(&self, task_id: &str) -> String {
        let task = json!({ "task_id": task_id, "workflow_id": "w", "name": "n", "tags": ["p2p-only"] });
        self.ok("p2p_submit_task", task)["owner"].as_str().unwrap().to_owned()
    }

    /// The tasks that it gives out now, each completed at once.
    pub(crate) fn work(&self) -> Vec<String> {
        let mut done = Vec::new();
        loop {
            let next = self.ok("p2p_get_next_task", json!({}));
            let Some(id) = next["task"]["task_id"].as_str() else { return done };
            assert_eq!(next["task"]["assigned_peer"], self.peer_id.as_str());
            let completed = self.call("p2p_mark_task_complete", json!({ "task_id": id }));
            assert_eq!(completed["success"], true, "{id}: {completed}");
            done.push(id.to_owned());
        }
    }

    /// How many peers may own tasks that are submitted here.
    pub(crate) fn members(&self) -> usize {
        let status = self.ok("p2p_scheduler_status", json!({}));
        status["peers"].as_array().unwrap().iter().filter(|peer| peer["is_member"] == true).count()
    }

    /// Pending, assigned and completed tasks.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let status = self.ok("p2p_scheduler_status", json!({}));
        ["pending_tasks", "assigned_tasks", "completed_tasks"].map(|count| status[count].as_u64().unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !self.data_dir.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.data_dir);
        }
    }
}

/// Starts the command and waits until it serves.
fn serve(mut command: Command) -> (Child, SocketAddr) {
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let (sender, said) = channel();
    // What it says later must not fill the pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut log = String::new();
    loop {
        let Ok(line) = said.recv_timeout(PATIENCE) else {
            let _ = process.kill();
            panic!("the node did not start: {:?}\n{log}", process.wait());
        };
        let address = line.split("running at http://").nth(1).and_then(|rest| rest.split('/').next());
        if let Some(address) = address {
            return (process, address.parse().unwrap());
        }
        log += &line;
        log.push('\n');
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun_at = Instant::now();
    while !holds() {
        assert!(begun_at.elapsed() < LONGEST, "{what}: not within {} s", LONGEST.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
