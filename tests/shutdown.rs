//! The command under signals: it ends in order, loses nothing it accepted, and tells the service manager.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Client, PATIENCE, call, text, tools};
use serde_json::json;

/// The command as a child; killed when dropped.
struct Process {
    child: Child,
    addr: SocketAddr,
    log: std::thread::JoinHandle<String>,
}

impl Process {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_as(common::command(), arguments, environment)
    }

    fn start_as(mut command: Command, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--max-cores", "2"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let addr = loop {
            let start = seen.len();
            assert_ne!(lines.read_line(&mut seen).unwrap(), 0, "ended early: {seen}");
            if let Some((_, rest)) = seen[start..].split_once("running at http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        let log = std::thread::spawn(move || {
            lines.read_to_string(&mut seen).unwrap();
            seen
        });
        Self { child, addr, log }
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that was not waited for yet, so its number is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    fn wait(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.log.join().unwrap());
            }
            if Instant::now() > end {
                self.child.kill().unwrap();
                panic!("did not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The command, started with this disposition of SIGHUP.
fn with_sighup(disposition: libc::sighandler_t) -> Command {
    let mut command = common::command();
    // SAFETY: setting a disposition is async-signal-safe and touches nothing of the parent's.
    unsafe {
        command.pre_exec(move || match libc::signal(libc::SIGHUP, disposition) {
            libc::SIG_ERR => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    command
}

#[test]
fn sigterm_sigint_and_sighup_end_it_with_status_zero() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // The tests themselves may run under `nohup`.
        let process = Process::start_as(with_sighup(libc::SIG_DFL), &[], &[]);
        let begun = Instant::now();
        process.signal(signal);
        let (status, log) = process.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("shutting down"), "{log}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn under_nohup_it_outlives_its_terminal() {
    let process = Process::start_as(with_sighup(libc::SIG_IGN), &[], &[]);
    process.signal(libc::SIGHUP);
    let mut client = common::Client::connect(process.addr);
    assert_eq!(client.ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    drop(client);
    process.signal(libc::SIGTERM);
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_log_tells_the_life_of_a_server_in_order() {
    let output = common::command()
        .args(["serve", "--listen", "127.0.0.1:0", "--run-timeout-ms", "200"])
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    let stations = ["initialized", "set up", "running at http://127.0.0.1:", "cancelled", "shutting down"];
    let places: Vec<usize> = stations
        .iter()
        .map(|station| log.find(station).unwrap_or_else(|| panic!("no {station} in {log}")))
        .collect();
    assert!(places.is_sorted(), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let process = Process::start(&["--shutdown-delay-ms", "60000"], &[]);
    process.signal(libc::SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    process.signal(libc::SIGTERM);
    assert_eq!(process.wait().0.code(), Some(130));
}

#[test]
fn while_it_drains_it_is_not_ready_and_still_answers() {
    let process = Process::start(&["--shutdown-delay-ms", "600"], &[]);
    let mut kept = Client::connect(process.addr);
    assert_eq!(kept.call("echo", json!({ "message": "before" })).status, 200);
    assert_eq!(kept.ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    process.signal(libc::SIGTERM);
    let mut probe = Client::connect(process.addr);
    tools::eventually("it is not ready", || {
        let mut probe = Client::connect(process.addr);
        probe.ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").status == 503
    });
    assert_eq!(probe.ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    std::thread::sleep(Duration::from_millis(650));
    let last = kept.call("echo", json!({ "message": "during" }));
    assert_eq!((text(&last.json()), last.header("connection")), ("during", Some("close")));
    assert_eq!(process.wait().0.code(), Some(0));
}

#[test]
fn sigterm_under_load_loses_no_request_of_an_accepted_connection() {
    let process = Process::start(&[], &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (addr, stop, answered) = (process.addr, stop.clone(), answered.clone());
            std::thread::spawn(move || -> Result<(), String> {
                let mut client = Client::connect(addr);
                // The first answer proves that the connection was accepted.
                loop {
                    client.send(call("echo", json!({ "message": "load" })));
                    let answer = client.try_answer().map_err(|error| format!("lost a request: {error}"))?;
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.status != 200 || text(&answer.json()) != "load" {
                        return Err(format!("{answer:?}"));
                    }
                    if answer.header("connection") == Some("close") {
                        return Ok(());
                    }
                    if stop.load(Ordering::Relaxed) {
                        return Err("was never told that the server closes".into());
                    }
                }
            })
        })
        .collect();
    tools::eventually("load", || answered.load(Ordering::Relaxed) > 500);
    process.signal(libc::SIGTERM);
    let (status, log) = process.wait();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap().unwrap();
    }
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_service_manager_hears_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let process = Process::start(&[], &environment);
    let receive = || {
        let mut buffer = [0; 1024];
        let len = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    assert!(receive().starts_with("READY=1"));
    assert_eq!(receive(), "WATCHDOG=1");
    assert_eq!(receive(), "WATCHDOG=1");
    process.signal(libc::SIGTERM);
    let stopping = loop {
        let message = receive();
        if message != "WATCHDOG=1" {
            break message;
        }
    };
    assert!(stopping.starts_with("STOPPING=1"), "{stopping}");
    assert_eq!(process.wait().0.code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = common::command().args(["serve", "--listen", &address]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}

#[test]
fn a_second_server_at_the_same_port_is_refused() {
    let first = Process::start(&[], &[]);
    let address = first.addr.to_string();
    let second = common::command().args(["serve", "--listen", &address]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    first.signal(libc::SIGTERM);
    assert_eq!(first.wait().0.code(), Some(0));
}

#[test]
fn a_traced_request_is_named_in_the_log() {
    let process = Process::start(&["--log-format", "json", "--log-level", "debug"], &[]);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = String::from_utf8(call("echo", json!({ "message": "x" }))).unwrap();
    let request = request.replace("\r\n\r\n", &format!("\r\ntraceparent: {traceparent}\r\n\r\n"));
    assert_eq!(Client::connect(process.addr).ask(request).status, 200);
    process.signal(libc::SIGTERM);
    let (_, log) = process.wait();
    let line =
        log.lines().find(|line| line.contains("answered")).unwrap_or_else(|| panic!("no answer in {log}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["span"]["traceparent"], traceparent, "{line}");
    assert!(line["span"]["id"].as_str().is_some_and(|id| id.contains('-')), "{line}");
    assert_eq!(line["method"], "tools/call", "{line}");
}
