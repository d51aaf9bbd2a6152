//! What the server costs: no thread hop on a request's path, no memory left behind by sessions.
//!
//! The server is the command in a process of its own, so that the figures are its alone.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Client, call, post};
use serde_json::json;

struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the command at a port that was free a moment ago.
fn start(arguments: &[&str]) -> Process {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = common::command()
        .args(["serve", "--listen", &free.to_string(), "--log-level", "error"])
        .args(arguments)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process { child, addr: free };
    common::tools::eventually("the server listens", || std::net::TcpStream::connect(free).is_ok());
    process
}

/// How often the threads that serve no requests (the main thread, the watchdog, the signals) went to sleep.
fn switches_of_others(process: &Process) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.child.id())).unwrap();
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let value = |status: &str, field: &str| {
        status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim().to_owned()
    };
    statuses
        .filter(|status| !value(status, "Name:").starts_with("ringmesh-"))
        .map(|status| value(&status, "voluntary_ctxt_switches:").parse::<u64>().expect("a number"))
        .sum()
}

/// Resident memory of the process in KiB.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One thread drives 64 connections in waves: every request of a wave is sent before the first answer is read, so that
/// the core always has work and its rest is the generator's doing.
#[test]
fn a_request_costs_no_thread_hop() {
    const CONNECTIONS: usize = 64;
    const WAVES: usize = 200;
    let server = start(&["--max-cores", "1"]);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(server.addr)).collect();
    let request = call("echo", json!({ "message": "hop" }));
    let wave = |clients: &mut Vec<Client>| {
        clients.iter_mut().for_each(|client| client.send(&request));
        clients.iter_mut().for_each(|client| assert_eq!(client.answer().status, 200));
    };
    wave(&mut clients);
    let before = switches_of_others(&server);
    let begun = std::time::Instant::now();
    (0..WAVES).for_each(|_| wave(&mut clients));
    let ticks = (begun.elapsed().as_millis() / 25 + 2) as u64;
    let requests = (CONNECTIONS * WAVES) as u64;
    let all = switches_of_others(&server) - before;
    // A tick is a sleep of the watchdog, and may be one of the kernel's worker that reads the wake for the ring.
    let switched = all.saturating_sub(2 * ticks);
    // Beyond the watchdog's own tick no other thread of the process ran: nothing of a request was handed over.
    assert!(
        switched * 100 < requests,
        "{all} switches of other threads in {ticks} ticks and {requests} requests"
    );
}

#[test]
fn abandoned_sessions_leave_no_memory_behind() {
    let server = start(&["--max-cores", "1", "--limit", "max_sessions=2000"]);
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "leaver", "version": "0" } } });
    let request = post(&body.to_string(), "");
    let mut resident = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(server.addr);
        for _ in 0..10_000 {
            assert_eq!(client.ask(&request).status, 200, "a session that nobody uses makes room");
        }
        std::thread::sleep(Duration::from_millis(200));
        resident.push(resident_kib(&server));
    }
    let (second, third) = (resident[1] as f64, resident[2] as f64);
    assert!(third <= second * 1.02, "resident memory grew: {resident:?}");
}
