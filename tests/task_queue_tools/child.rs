//! A server as a process of its own, whose files may be no longer than a test says: a disk that is full, for anybody's test.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child as Process, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Client, PATIENCE, command, modern};
use crate::support::Node;

/// What is reserved for each segment of the journal; a quarter of it is the reserve.
pub(crate) const SEGMENT_BYTES: u64 = 8 << 20;

/// The server; dropping it kills it.
pub(crate) struct Child {
    process: Process,
    pub(crate) address: SocketAddr,
    /// Where peers reach it.
    pub(crate) peer_address: String,
}

impl Child {
    /// Starts it on this data directory, with one core, and so one log.
    pub(crate) fn start(data_dir: &Path) -> Child {
        let mut command = command();
        command.args(["serve", "--listen=127.0.0.1:0", "--p2p-listen=/ip4/127.0.0.1/tcp/0", "--max-cores=1"]);
        command.args([
            "--p2p-deterministic=false",
            "--limit",
            &format!("journal_segment_bytes={SEGMENT_BYTES}"),
        ]);
        command.arg("--data-dir").arg(data_dir).env("NO_COLOR", "1");
        // A write past the limit is to fail, and not to kill.
        // SAFETY: between fork and exec, signal is safe to call.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                Ok(())
            })
        };
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, said) = channel();
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut log = Vec::new();
        let address = loop {
            let Ok(line) = said.recv_timeout(PATIENCE) else {
                let _ = process.kill();
                panic!("the server did not start: {:?}\n{log:?}", process.wait());
            };
            let address = line.split("running at http://").nth(1).and_then(|rest| rest.split('/').next());
            if let Some(address) = address {
                break address.parse().unwrap();
            }
            log.push(line);
        };
        let health = Client::connect(address).ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
        let peer_address = health["p2p"]["listen"][0].as_str().unwrap().to_owned();
        Child { process, address, peer_address }
    }

    /// From here on it can make no file longer, nor write further into one; `None` takes the limit away.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let pid = libc::pid_t::try_from(self.process.id()).unwrap();
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the limit lives for each call; the first one only fills it in, the second one only reads it.
        let results = unsafe {
            let read = libc::prlimit(pid, libc::RLIMIT_FSIZE, std::ptr::null(), &mut limit);
            limit.rlim_cur = bytes.unwrap_or(limit.rlim_max);
            [read, libc::prlimit(pid, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut())]
        };
        assert_eq!(results, [0, 0], "{}", std::io::Error::last_os_error());
    }

    /// Calls a tool over MCP.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = Client::connect(self.address).ask(modern(1, "tools/call", params)).json();
        answer["result"]["structuredContent"].clone()
    }

    /// Has a peer ask it the same, over the task queue RPC.
    pub(crate) fn call_from(&self, peer: &Node, tool: &str, mut arguments: Value) -> Value {
        arguments["remote_multiaddr"] = self.peer_address.clone().into();
        peer.call(tool, arguments)
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// How it ends by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let end = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
