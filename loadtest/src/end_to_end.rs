//! The whole generator against small servers on loopback: an honest one, and ones that go wrong in known ways.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::key::find;
use crate::options::Cli;
use crate::run::{self, Job};
use crate::run_result::RunResult;

/// What a small server does with the text of its n-th call.
type Twist = fn(n: usize, text: &str) -> Option<String>;

/// Starts a server with a twist for as long as `ask` needs it; its threads end with the test process.
fn with_server<T>(twist: Twist, ask: impl FnOnce(&str) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, twist));
        }
    });
    ask(&target)
}

/// Runs the generator for a moment against a server with a twist.
fn load(twist: Twist, flags: &[&str]) -> RunResult {
    with_server(twist, |target| {
        let fixed =
            ["x", "--target", target, "--warmup-s", "0.05", "--duration-s", "0.2", "--grace-s", "0.5"];
        run_with(&[&fixed, flags].concat())
    })
}

fn run_with(flags: &[&str]) -> RunResult {
    let mut cli = Cli::command().args_override_self(true);
    let matches = cli.try_get_matches_from_mut(flags).unwrap();
    let cli = Cli::from_arg_matches(&matches).unwrap();
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
        let Some(method) = request["method"].as_str() else {
            // The end of a session; it has no text.
            twist(n, "")?;
            return None;
        };
        let answer = match method {
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
    let request = match body {
        0 => serde_json::Value::Null,
        _ => serde_json::from_slice(input.get(head..head + body)?).ok()?,
    };
    Some((request, head + body))
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
    assert!(!report.void && report.operations > 50, "{report}");
    assert!(report.server.is_some() && report.generator.busiest_share > 0.0, "{report}");
    assert!(report.generator.slow_checks < 10, "the fast check is not in use: {report}");
}

#[test]
fn sessions_are_opened_in_the_older_revisions() {
    for (era, sessions) in [("2025-11-25", "shared"), ("2025-06-18", "per-connection")] {
        let report = load(honest, &["--connections", "2", "--era", era, "--sessions", sessions]);
        assert!(!report.void && report.operations > 10, "{report}");
    }
}

#[test]
fn a_wrong_text_voids_the_run() {
    let report = load(
        |n, text| Some(if n % 20 == 19 { "wrong".to_owned() } else { text.to_owned() }),
        &["--connections", "4"],
    );
    assert!(report.void && report.errors.contains_key("text"), "{report}");
}

#[test]
fn a_closed_connection_is_counted_and_opened_again() {
    let report = load(|n, text| (n < 50).then(|| text.to_owned()), &["--connections", "2"]);
    assert!(report.void && report.errors["closed"] >= 2 && report.operations > 50, "{report}");
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
fn operations_that_wait_for_their_connection_at_the_end_are_not_forgotten() {
    // Each lane opens one connection beforehand, and each operation one of its own; after these nobody is let in.
    for (flags, let_in) in [(&["--rate", "40"][..], 64 + 20), (&[], 4 + 20)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten().take(let_in) {
                std::thread::spawn(move || serve(stream, honest));
            }
            std::thread::sleep(Duration::from_secs(20));
        });
        let connections = if flags.is_empty() { "4" } else { "64" };
        let times = ["--warmup-s", "0.05", "--duration-s", "1", "--grace-s", "1"];
        let churn = ["--mix", "session-churn", "--era", "2025-11-25", "--connections", connections];
        let report = run_with(&[&["x", "--target", &target], &times[..], &churn, flags].concat());
        assert!(report.void && !report.errors.is_empty(), "{report}");
    }
}

const CHURN: [&str; 6] = ["--mix", "session-churn", "--era", "2025-11-25", "--connections", "2"];

#[test]
fn a_session_whose_end_is_never_answered_is_an_error() {
    let deaf: Twist = |_, text| {
        if text.is_empty() {
            std::thread::sleep(Duration::from_secs(5));
        }
        Some(text.to_owned())
    };
    let report = load(deaf, &CHURN);
    assert!(report.void && report.errors.contains_key("unanswered"), "{report}");
}

#[test]
fn a_server_that_is_slow_to_end_sessions_does_not_make_the_generator_late() {
    let slow: Twist = |_, text| {
        if text.is_empty() {
            std::thread::sleep(Duration::from_millis(400));
        }
        Some(text.to_owned())
    };
    let flags = ["--rate", "40", "--duration-s", "1", "--grace-s", "5", "--max-lag-ms", "300"];
    let report = load(slow, &[&CHURN[..], &flags].concat());
    assert!(report.errors.is_empty() && !report.is_late(), "{report}");
}

#[test]
fn nobody_there_is_a_connect_error() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let times = ["--warmup-s", "0.05", "--duration-s", "0.1", "--grace-s", "0.2", "--connections", "8"];
    let report = run_with(&[&["x", "--target", &closed], &times[..]].concat());
    assert!(report.void && report.errors["connect"] == 1 && report.operations == 0, "{report}");
}

/// The honest echo of a server that stands still for 100 ms of every second.
fn stalling(_: usize, text: &str) -> Option<String> {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let since = BEGUN.get_or_init(Instant::now).elapsed().as_millis() as u64 % 1_000;
    if (500..600).contains(&since) {
        std::thread::sleep(Duration::from_millis(600 - since));
    }
    Some(text.to_owned())
}

#[test]
fn a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one() {
    let times = ["--duration-s", "3", "--grace-s", "5", "--max-lag-ms", "1000"];
    let p99_ms = |result: &RunResult| result.latency_us.p99.unwrap() / 1e3;
    let open = load(stalling, &[&["--rate", "500", "--connections", "64"], &times[..]].concat());
    // A tenth of all operations were to begin within the stall, and a tenth of those in its first tenth.
    assert!(!open.void && p99_ms(&open) > 80.0, "{open}");
    let stalled = open.series.iter().filter(|point| point.max_us.is_some_and(|us| us > 50_000.0)).count();
    assert!((2..30).contains(&stalled), "{:?}", open.series);
    // A machine that stands still by itself may show that too, so it has three tries to be quiet.
    let hides = |_| {
        let closed = load(stalling, &[&["--connections", "1"], &times[..]].concat());
        assert!(closed.latency_us.max > 80_000.0, "{closed}");
        p99_ms(&closed) < 50.0
    };
    assert!((0..3).any(hides));
}

#[test]
fn a_generator_that_is_too_slow_voids_the_run_and_says_so() {
    // It begins fifty in a second at most, and twice as many are to begin.
    let slow = ["--rate", "100", "--connections", "64", "--handicap-us", "20000"];
    let report = load(honest, &[&slow[..], &["--duration-s", "1"]].concat());
    let said = report.void_reasons.iter().any(|reason| reason.contains("the generator was late"));
    assert!(report.void && said && report.to_string().contains("VOID"), "{report}");
}

#[test]
fn the_offered_and_the_achieved_rate_are_told_apart() {
    let sluggish = |_: usize, text: &str| {
        std::thread::sleep(Duration::from_millis(20));
        Some(text.to_owned())
    };
    let report =
        load(sluggish, &["--rate", "400", "--connections", "2", "--duration-s", "1", "--grace-s", "5"]);
    assert!(report.offered_per_second.is_some_and(|offered| offered > 300.0), "{report}");
    assert!(report.operations_per_second < 150.0 && !report.kept_up(), "{report}");
    // The server was behind, which is nobody's error.
    assert!(
        report.errors.is_empty() && report.not_begun > 100 && report.to_string().contains("not kept up with"),
        "{report}"
    );
    // What never began counts with the time that it waited.
    assert!(report.latency_us.p90.unwrap() > 400_000.0, "{report}");
}

/// A node of this process with a task queue in memory.
struct Here {
    handle: ringmesh::ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
    http: String,
    peer: String,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.handle.stop();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}

/// Each node dials only whom it knows.
fn node_that_knows(peers: &[&str]) -> Here {
    let config = ringmesh::ServerConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        p2p_listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        p2p_bootstrap_peers: peers.iter().map(|&peer| peer.to_owned()).collect(),
        // Otherwise a node keeps tasks for those of its peers that own them.
        p2p_deterministic: false,
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
    let http = addresses[0].to_string();
    let mut stream = TcpStream::connect(&http).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = &answer[find(&answer, b"\r\n\r\n").unwrap() + 4..];
    let health: serde_json::Value = serde_json::from_slice(body).unwrap();
    let peer = health["p2p"]["listen"][0].as_str().unwrap().to_owned();
    Here { handle, thread: Some(thread), http, peer }
}

/// A short run against a node, which must be without a fault.
fn load_node(flags: &[&str]) -> RunResult {
    let times = ["--warmup-s", "0.1", "--duration-s", "0.4", "--grace-s", "5", "--max-lag-ms", "5000"];
    let report = run_with(&[&["x"], flags, &times[..]].concat());
    // On a machine that is shared the generator may well be late; it may not be wrong.
    assert!(report.errors.is_empty() && report.operations > 0, "{flags:?}: {report}");
    report
}

#[test]
fn every_mix_runs_without_a_fault_over_http_and_over_libp2p() {
    let there = node_that_knows(&[]);
    let here = node_that_knows(&[&there.peer]);
    let mixes =
        ["echo", "tools-list", "queue-local", "queue-remote", "long-poll", "session-churn", "large-bodies"];
    for mix in mixes.into_iter().chain(["few-long-connections"]) {
        for to in [["--target", &here.http], ["--peer", &here.peer]] {
            let flags = ["--mix", mix, "--connections", "4", "--remote", &there.peer];
            let report = load_node(&[&to[..], &flags[..]].concat());
            let steps = if mix.starts_with("queue") { 3 } else { 1 };
            assert!(report.requests >= steps * report.operations.saturating_sub(8), "{mix}: {report}");
        }
    }
}

#[test]
fn the_older_revisions_have_sessions_over_both() {
    let here = node_that_knows(&[]);
    for to in [["--target", &here.http], ["--peer", &here.peer]] {
        for mix in ["echo", "session-churn"] {
            let flags = ["--era", "2025-11-25", "--mix", mix, "--rate", "50", "--connections", "4"];
            let report = load_node(&[&to[..], &flags[..]].concat());
            assert!(report.offered_per_second.is_some(), "{report}");
        }
    }
}

#[test]
fn a_queue_is_loaded_in_submits_and_in_cycles() {
    let here = node_that_knows(&[]);
    let target = here.http.clone();
    for round in ["submit", "cycle"] {
        let flags = ["x", "queue", "--target", &target, "--round", round, "--connections", "3"];
        let times = ["--warmup-s", "0.05", "--duration-s", "0.2"];
        let cli = Cli::try_parse_from(flags.iter().chain(&times)).unwrap();
        let Some(crate::options::Command::Queue(args)) = cli.command else { panic!("not a queue's load") };
        let report = crate::queue::run(&args).unwrap();
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert!(report.errors == 0 && json["rounds"].as_u64() > Some(10), "{json}");
    }
}

#[test]
fn the_knee_of_a_server_with_a_known_one_is_found() {
    // One connection that answers one call in 5 ms does at most 200 in a second.
    let sluggish: Twist = |_, text| {
        std::thread::sleep(Duration::from_millis(5));
        Some(text.to_owned())
    };
    let flags =
        ["--find-knee", "--knee-p99-ms", "300", "--rate", "20", "--connections", "1", "--max-lag-ms", "1000"];
    let search = || {
        with_server(sluggish, |target| {
            let times = ["--target", target, "--warmup-s", "0.05", "--duration-s", "0.5", "--grace-s", "5"];
            let cli = Cli::try_parse_from(["x"].iter().chain(&flags).chain(&times)).unwrap();
            crate::knee::sweep(&cli.load, |_| ()).unwrap().knee.unwrap()
        })
    };
    // A machine that has no time for the generator finds none, so it has three tries.
    let found = (0..3).map(|_| search()).find(|knee| !knee.limited_by_generator);
    let knee = found.expect("a quiet moment in three");
    assert!(knee.fails_per_second.unwrap() <= 640.0 && knee.holds_per_second.unwrap() <= 210.0, "{knee:?}");
}
