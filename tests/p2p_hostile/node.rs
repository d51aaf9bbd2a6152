//! The node under attack, a process of its own, and the honest peer that must not notice.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::attacker::Attacker;
use crate::common;

/// Longest that an honest call may take while others misbehave. Debug builds on a busy machine are slow.
const NOTICED: Duration = Duration::from_secs(5);

/// A running `ringmesh serve`; dropping it kills it.
pub struct Node {
    child: Child,
    /// Where it takes libp2p connections.
    pub at: SocketAddr,
    _state: tempfile::TempDir,
}

impl Node {
    /// Starts a node with short time-outs and these flags.
    pub fn start(flags: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut child = common::command()
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--p2p-listen",
                "/ip4/127.0.0.1/tcp/0",
                "--max-cores",
                "2",
            ])
            .args(["--limit", "p2p_handshake_timeout_ms=1000"])
            .args(flags)
            .arg("--data-dir")
            .arg(state.path())
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (found, address) = std::sync::mpsc::channel();
        // Read to its end, so that the node never waits for a reader.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some(address) = listener(&line) {
                    let _ = found.send(address);
                }
            }
        });
        let at = address.recv_timeout(common::PATIENCE).expect("the node says where it listens");
        Self { child, at, _state: state }
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Has it end in order, and says how long that took.
    pub fn stop(mut self) -> Duration {
        let begun = Instant::now();
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that was not waited for yet, so its number is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        assert!(self.child.wait().unwrap().success());
        begun.elapsed()
    }

    /// Runs an attack while an honest peer calls, and a new one connects afterwards. Twice: what the first run needed
    /// may stay, and the second must not need as much again.
    pub fn withstands(&self, spare_kib: u64, mut attack: impl FnMut(&Self)) {
        let honest = Honest::start(self.at);
        attack(self);
        let before = self.rss_kib();
        attack(self);
        honest.stop();
        let grown = self.rss_kib().saturating_sub(before);
        assert!(grown <= spare_kib, "memory grew by {grown} KiB, {spare_kib} are allowed");
        Attacker::connect(self.at).unwrap().echo("still there").unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line of the log such as `… /ip4/127.0.0.1/tcp/4001/p2p/…`.
fn listener(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("/ip4/127.0.0.1/tcp/")?;
    let (port, _) = rest.split_once("/p2p/")?;
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

/// A peer that calls `echo` again and again, and wants each answer soon.
struct Honest {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Honest {
    fn start(at: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let mut peer = Attacker::connect(at).unwrap();
        let thread = std::thread::spawn(move || {
            let mut calls = 0;
            while !ends.load(Ordering::Relaxed) {
                let asked = Instant::now();
                peer.echo(&format!("call {calls}")).unwrap();
                assert!(asked.elapsed() < NOTICED, "call {calls} took {:?}", asked.elapsed());
                calls += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            calls
        });
        Self { over, thread }
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        let calls = self.thread.join().expect("the honest peer was served all the time");
        assert!(calls > 0, "the honest peer was never served");
    }
}
