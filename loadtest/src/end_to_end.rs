//! The whole generator against small servers on loopback: an honest one, and ones that go wrong in known ways.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use clap::Parser;

use crate::options::Cli;
use crate::request::find;
use crate::run::{self, Job};
use crate::run_result::RunResult;

/// What a small server does with the text of its n-th call.
type Twist = fn(n: usize, text: &str) -> Option<String>;

/// Runs the generator for a moment against a server with a twist.
fn load(twist: Twist, flags: &[&str]) -> RunResult {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    // The thread ends with the test process; it only blocks in accept.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, twist));
        }
    });
    let fixed = ["x", "--target", &target, "--warmup-s", "0.05", "--duration-s", "0.2", "--grace-s", "0.5"];
    let cli = Cli::try_parse_from(fixed.iter().chain(flags)).unwrap();
    run::run(&Job::from_args(&cli.load).unwrap()).unwrap()
}

/// Answers every call on one connection until the twist gives it up.
fn serve(mut stream: TcpStream, twist: Twist) -> Option<()> {
    let mut input = Vec::new();
    let mut chunk = [0; 4096];
    for n in 0.. {
        let (request, length) = loop {
            if let Some(found) = first_request(&input) {
                break found;
            }
            let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
            input.extend_from_slice(&chunk[..read]);
        };
        input.drain(..length);
        let id = &request["id"];
        let answer = match request["method"].as_str()? {
            "initialize" => http("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)),
            "tools/call" => {
                let text = twist(n, request["params"]["arguments"]["message"].as_str()?)?;
                let result = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
                http("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
            }
            _ => http("202 Accepted", ""),
        };
        stream.write_all(answer.as_bytes()).ok()?;
    }
    None
}

fn first_request(input: &[u8]) -> Option<(serde_json::Value, usize)> {
    let head = find(input, b"\r\n\r\n")? + 4;
    let name = b"Content-Length: ";
    let rest = String::from_utf8_lossy(&input[find(input, name)? + name.len()..head]).into_owned();
    let body: usize = rest.lines().next()?.parse().ok()?;
    Some((serde_json::from_slice(input.get(head..head + body)?).ok()?, head + body))
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nMcp-Session-Id: s1\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn honest(_: usize, text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn an_honest_server_is_counted_without_errors() {
    let pid = std::process::id().to_string();
    let report = load(honest, &["--connections", "3", "--pipeline", "4", "--server-pid", &pid]);
    assert!(!report.void && report.requests > 50, "{report}");
    assert!(report.server.is_some() && report.generator.busiest_share > 0.0, "{report}");
    assert!(report.generator.slow_checks < 10, "the fast check is not in use: {report}");
}

#[test]
fn sessions_are_opened_in_the_older_revisions() {
    for flags in
        [["--era", "2025-11-25", "--sessions", "shared"], ["--era", "2025-06-18", "--connections", "2"]]
    {
        let report = load(honest, &flags);
        assert!(!report.void && report.requests > 10, "{report}");
    }
}

#[test]
fn a_wrong_text_voids_the_run() {
    let report = load(|n, text| Some(if n % 20 == 19 { "wrong".to_owned() } else { text.to_owned() }), &[]);
    assert!(report.void && report.errors.contains_key("text"), "{report}");
}

#[test]
fn a_closed_connection_is_counted_and_opened_again() {
    let report = load(|n, text| (n < 50).then(|| text.to_owned()), &["--connections", "2"]);
    assert!(report.void && report.errors["closed"] >= 2 && report.requests > 50, "{report}");
}

#[test]
fn a_server_that_stops_answering_ends_the_run_all_the_same() {
    let report = load(
        |n, text| {
            if n > 20 {
                std::thread::sleep(Duration::from_secs(5));
            }
            Some(text.to_owned())
        },
        &["--connections", "2"],
    );
    assert!(report.void && report.errors["unanswered"] == 2, "{report}");
}

#[test]
fn nobody_there_is_a_connect_error() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let flags = ["x", "--target", &closed, "--warmup-s", "0.05", "--duration-s", "0.1", "--grace-s", "0.2"];
    let cli = Cli::try_parse_from(flags).unwrap();
    let report = run::run(&Job::from_args(&cli.load).unwrap()).unwrap();
    assert!(report.void && report.errors["connect"] == 1 && report.requests == 0, "{report}");
}

/// A node of this process with a task queue in memory.
fn node() -> (ringmesh::ServerHandle, std::thread::JoinHandle<()>, String) {
    let config = ringmesh::ServerConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        max_cores: Some(1),
        ..ringmesh::ServerConfig::default()
    };
    let server = ringmesh::Server::new(config).builtin_tools();
    let handle = server.handle();
    let thread = std::thread::spawn(move || {
        server.run().unwrap();
    });
    let ringmesh::Start::Ready(addresses) = handle.readiness().wait_timeout(Duration::from_secs(10)) else {
        panic!("the server did not start")
    };
    (handle, thread, addresses[0].to_string())
}

#[test]
fn a_queue_is_loaded_in_submits_and_in_cycles() {
    let (handle, thread, target) = node();
    for round in ["submit", "cycle"] {
        let flags = ["x", "queue", "--target", &target, "--round", round, "--connections", "3"];
        let times = ["--warmup-s", "0.05", "--duration-s", "0.2"];
        let cli = Cli::try_parse_from(flags.iter().chain(&times)).unwrap();
        let Some(crate::options::Command::Queue(args)) = cli.command else { panic!("not a queue's load") };
        let report = crate::queue::run(&args).unwrap();
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert!(report.errors == 0 && json["rounds"].as_u64() > Some(10), "{json}");
    }
    handle.stop();
    thread.join().unwrap();
}
