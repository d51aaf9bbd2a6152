//! Streams of the task queue RPC, served on a core, over a pipe in memory.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use serde_json::{Value, json};

use super::super::mcp::{PeerGate, TaskQueueRpc};
use super::{TaskQueueHost, serve_task_queue_stream, task_queue};
use crate::config::ServerConfig;
use crate::limits::Limit;
use crate::mcp::{Access, CallError, Context, Elicitation, Registry, Tool, ToolAnnotations};
use crate::p2p::{PeerId, Remote, Via};
use crate::runtime::{self, ExecutorSettings, Scope, ScopeClosed, ScopeOptions, Watchdog, WatchdogSettings};
use crate::server::core::CoreState;
use crate::server::p2p::pipe::{End, pipe};
use crate::server::roster::Phase;
use crate::server::{Server, setup};

const NODE: &str = "12D3KooWnode";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Millis {
    ms: u64,
}

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

async fn nap(args: Millis, _: Context) -> Result<String, CallError> {
    runtime::sleep(Duration::from_millis(args.ms)).await;
    Ok(format!("slept {}", args.ms))
}

async fn ask(_: Nothing, context: Context) -> Result<String, CallError> {
    Ok(context.elicit("name", Elicitation::typed::<Name>("Who?")).await?.read::<Name>()?.name)
}

async fn fail(args: Name, _: Context) -> Result<String, CallError> {
    Err(CallError::failed(args.name))
}

async fn explode(_: Nothing, _: Context) -> Result<String, CallError> {
    panic!("a tool's own panic")
}

fn registry() -> Registry {
    let reads = ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() };
    let look = |_: Nothing, _: Context| async { Ok::<_, CallError>(crate::Json(json!({"seen": [1, 2.5]}))) };
    Registry::new()
        .with(Tool::new("look", "Looks around", look).annotations(reads))
        .tool("nap", "Waits", nap)
        .tool("ask", "Asks its client", ask)
        .tool("fail", "Fails", fail)
        .tool("explode", "Panics", explode)
        .tool("big", "Returns much", |_: Nothing, _: Context| async {
            Ok::<_, CallError>("x".repeat(1 << 20))
        })
}

/// Lets so many requests in.
struct Gate(Cell<u32>);

impl PeerGate for Gate {
    fn admit(&self, _now: Instant) -> Result<(), Limit> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        if left == 0 { Err(Limit::P2pRequestRate) } else { Ok(()) }
    }

    fn access(&self, _token: Option<&str>) -> Access {
        unreachable!("the task queue asks its own policy")
    }
}

struct Bench {
    core: Rc<CoreState>,
    host: Rc<TaskQueueHost>,
    scope: Scope,
    gate: Rc<Gate>,
}

/// Runs `test` with a core of a server that lets peers call tools, for twenty seconds at most.
fn with_bench<F, Fut>(change: impl FnOnce(&mut ServerConfig), test: F)
where
    F: FnOnce(Rc<Bench>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let mut config = ServerConfig { p2p_call_tool: true, ..ServerConfig::default() };
    change(&mut config);
    let server = Server::new(config).registry(registry());
    let watchdog = Watchdog::start(WatchdogSettings::default()).unwrap();
    let main = move || async move {
        let tick = watchdog.register(0);
        runtime::warm_up().await;
        let shared = setup::prepare(server, &[0], false).unwrap().shared;
        let core = CoreState::new(shared, 0, tick.activity());
        let run = Scope::run(ScopeOptions::named("test"), |scope| async move {
            let queue = task_queue(&core.shared.config, NODE);
            let host = TaskQueueHost::new(core.clone(), queue);
            let gate = Rc::new(Gate(Cell::new(u32::MAX)));
            let bench = Rc::new(Bench { core, host, scope: scope.clone(), gate });
            let timeout = async {
                runtime::sleep(Duration::from_secs(20)).await;
                panic!("the test did not end in twenty seconds")
            };
            future::or(test(bench), timeout).await;
            scope.cancel();
            Ok::<(), ScopeClosed>(())
        });
        run.await.unwrap();
    };
    runtime::spawn_executor(None, "test", &ExecutorSettings::default(), main).unwrap().join().unwrap();
}

fn remote(via: Via) -> Rc<Remote> {
    let peer_id = PeerId::random();
    let address = "192.0.2.1:1".parse().unwrap();
    Rc::new(Remote { peer_id, principal: peer_id.to_base58().into(), address, via })
}

impl Bench {
    fn open(&self, via: Via, window: usize) -> End {
        let (near, far) = pipe(window);
        let serving = serve_task_queue_stream(self.host.clone(), far, remote(via), self.gate.clone());
        self.scope.spawn("stream", serving).unwrap();
        near
    }

    /// One request on a stream of its own; the stream ends in order after the answer.
    async fn ask(&self, via: Via, request: &Value) -> Value {
        let mut end = self.open(via, 256 << 10);
        end.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        read(&mut end).await.expect("an answer")
    }

    fn hits(&self, limit: Limit) -> bool {
        let text = self.core.shared.metrics.render(&crate::observe::Snapshot::default());
        let name = format!("ringmesh_limit_hits_total{{limit=\"{}\"}}", limit.name());
        text.lines().any(|line| line.starts_with(&name) && !line.ends_with(" 0"))
    }
}

/// The line up to the end of the stream; `None` where it ends in order without one.
async fn read(end: &mut End) -> Option<Value> {
    try_read(end).await.expect("an orderly end")
}

async fn try_read(end: &mut End) -> std::io::Result<Option<Value>> {
    let mut bytes = Vec::new();
    end.read_to_end(&mut bytes).await?;
    let Some(line) = bytes.strip_suffix(b"\n") else {
        assert!(bytes.is_empty());
        return Ok(None);
    };
    assert!(!line.contains(&b'\n') && bytes.len() < 1 << 20);
    Ok(Some(serde_json::from_slice(line).unwrap()))
}

#[test]
fn a_line_is_answered_and_the_stream_closed() {
    with_bench(
        |_| {},
        |bench| async move {
            let answer = bench.ask(Via::Beyond, &json!({"op": "status"})).await;
            assert_eq!((&answer["ok"], &answer["peer_id"]), (&json!(true), &json!(NODE)));
            let mut end = bench.open(Via::Beyond, 64);
            for byte in b"{\"op\":\"Status\",\"detail\":1}\r\n" {
                end.write_all(&[*byte]).await.unwrap();
            }
            let answer = read(&mut end).await.unwrap();
            assert_eq!(answer["queue"]["queued"], 0);
            // Closed before its newline: nothing to answer.
            let mut end = bench.open(Via::Beyond, 64);
            end.write_all(b"{\"op\":\"status\"}").await.unwrap();
            end.close().await.unwrap();
            assert_eq!(read(&mut end).await, None);
            let mut end = bench.open(Via::Beyond, 64);
            end.write_all(b"{}\n{}\n").await.unwrap();
            assert_eq!(read(&mut end).await.unwrap()["error"], "invalid_json");
        },
    );
}

#[test]
fn a_line_that_is_too_long_is_told_to_a_client_that_is_busy_writing() {
    with_bench(
        |_| {},
        |bench| async move {
            let mut end = bench.open(Via::Beyond, 64 << 10);
            end.write_all(&vec![b'a'; 3 << 20]).await.unwrap();
            end.close().await.unwrap();
            assert_eq!(read(&mut end).await.unwrap()["error"], "frame_too_large");
            assert!(bench.hits(Limit::P2pLineBytes));
            let mut line = br#"{"op":"status","pad":""#.to_vec();
            line.resize((1 << 20) - 3, b'x');
            line.extend_from_slice(b"\"}\n");
            let mut end = bench.open(Via::Beyond, 64 << 10);
            end.write_all(&line).await.unwrap();
            assert_eq!(read(&mut end).await.unwrap()["ok"], true);
        },
    );
}

#[test]
fn a_stream_without_a_newline_ends_in_time() {
    with_bench(
        |config| config.limits.p2p_request_timeout_ms = 100,
        |bench| async move {
            let mut silent = bench.open(Via::Beyond, 64);
            let mut slow = bench.open(Via::Beyond, 64);
            slow.write_all(b"{").await.unwrap();
            assert!(try_read(&mut silent).await.is_err(), "it is reset");
            assert!(try_read(&mut slow).await.is_err(), "it is reset");
            assert!(bench.hits(Limit::P2pRequestTime));
            // What is answered may take longer than the line.
            let nap = json!({"op": "call_tool", "tool": "nap", "args": {"ms": 300}});
            assert_eq!(bench.ask(Via::Loopback, &nap).await["result"], "slept 300");
        },
    );
}

#[test]
fn who_does_not_read_the_answer_is_reset() {
    with_bench(
        |config| config.limits.write_timeout_ms = 100,
        |bench| async move {
            let mut end = bench.open(Via::Beyond, 32);
            end.write_all(b"{\"op\":\"status\"}\n").await.unwrap();
            runtime::sleep(Duration::from_millis(400)).await;
            assert!(try_read(&mut end).await.is_err(), "it is reset");
            assert!(bench.hits(Limit::WriteTime));
        },
    );
}

#[test]
fn requests_beyond_the_rate_are_refused() {
    with_bench(
        |_| {},
        |bench| async move {
            bench.gate.0.set(1);
            assert_eq!(bench.ask(Via::Loopback, &json!({"op": "status"})).await["ok"], true);
            let answer = bench.ask(Via::Loopback, &json!({"op": "status"})).await;
            assert_eq!(answer["error"], "rate_limited");
            assert!(answer["message"].as_str().unwrap().contains("max_p2p_requests_per_s"));
            assert!(bench.hits(Limit::P2pRequestRate));
        },
    );
}

#[test]
fn bytes_of_lines_are_held_within_the_budget() {
    with_bench(
        |config| config.limits.max_buffered_bytes = 1 << 20,
        |bench| async move {
            let mut ends = Vec::new();
            for _ in 0..16 {
                let mut end = bench.open(Via::Beyond, 256 << 10);
                end.write_all(&vec![b'a'; 100 << 10]).await.unwrap();
                ends.push(end);
            }
            runtime::sleep(Duration::from_millis(50)).await;
            assert!(bench.hits(Limit::BufferedBytes));
            let mut last = ends.pop().unwrap();
            assert_eq!(read_refusal(&mut last).await, "overloaded");
            drop((ends, last));
            runtime::sleep(Duration::from_millis(50)).await;
            assert_eq!(bench.core.shared.budget.held(), 0);
            assert_eq!(bench.ask(Via::Beyond, &json!({"op": "status"})).await["ok"], true);
        },
    );
}

async fn read_refusal(end: &mut End) -> String {
    end.close().await.unwrap();
    read(end).await.unwrap()["error"].as_str().unwrap().to_owned()
}

#[test]
fn tools_are_called_by_their_names() {
    with_bench(
        |_| {},
        |bench| async move {
            let call = |tool: &str, args: Value| json!({"op": "call_tool", "tool": tool, "args": args});
            let answer = bench.ask(Via::Beyond, &call("look", json!({}))).await;
            assert_eq!(
                answer,
                json!({"ok": true, "tool": "look", "description": "Looks around",
            "result": {"seen": [1, 2.5]}, "peer_id": NODE})
            );
            let answer = bench.ask(Via::Beyond, &call("nap", json!({"ms": 1}))).await;
            assert_eq!((&answer["ok"], &answer["error"]), (&json!(false), &json!("unauthorized")));
            let local = async |tool, args| bench.ask(Via::Loopback, &call(tool, args)).await;
            assert_eq!(local("nap", json!({"ms": 20})).await["result"], "slept 20");
            assert_eq!(local("none", json!({})).await["error"], "tool_not_found");
            assert_eq!(local("fail", json!({"name": "boom text"})).await["error"], "boom text");
            let answer = local("fail", json!({"name": "Connection refused"})).await;
            assert_eq!(
                (&answer["error"], &answer["message"]),
                (&json!("tool_failed"), &json!("Connection refused"))
            );
            for (tool, args) in [("ask", json!({})), ("explode", json!({})), ("nap", json!({"ms": "x"}))] {
                let answer = local(tool, args).await;
                assert_eq!(answer["ok"], false, "{answer}");
                assert!(!answer["error"].as_str().unwrap().contains("a tool's own panic"));
            }
            assert_eq!(local("big", json!({})).await["error"], "answer_too_large");
        },
    );
}

#[test]
fn a_tool_has_the_time_that_its_caller_gives_it() {
    with_bench(
        |_| {},
        |bench| async move {
            let begun_at = Instant::now();
            let call = json!({"op": "call_tool", "tool": "nap", "args": {"ms": 10_000}, "timeout_s": "0.1"});
            assert_eq!(bench.ask(Via::Loopback, &call).await["error"], "deadline_exceeded");
            assert!(begun_at.elapsed() < Duration::from_secs(5));
        },
    );
}

#[test]
fn a_server_that_stops_ends_what_is_in_progress() {
    with_bench(
        |_| {},
        |bench| async move {
            let mut waiting = bench.open(Via::Loopback, 64);
            let mut calling = bench.open(Via::Loopback, 1 << 10);
            let call = json!({"op": "call_tool", "tool": "nap", "args": {"ms": 10_000}});
            calling.write_all(format!("{call}\n").as_bytes()).await.unwrap();
            runtime::sleep(Duration::from_millis(50)).await;
            bench.core.roster.advance(Phase::Closing);
            assert!(try_read(&mut waiting).await.is_err(), "there was no request on it");
            bench.core.roster.advance(Phase::Cancelling);
            let answer = read(&mut calling).await.unwrap();
            assert!(answer["error"].as_str().unwrap().contains("server stops"), "{answer}");
            assert_eq!(bench.core.roster.awaited(), 0);
        },
    );
}

#[test]
fn mcp_streams_bring_requests_too() {
    let change = |config: &mut ServerConfig| {
        config.p2p_token = Some(crate::config::Secret("s3cret".to_owned()));
    };
    with_bench(change, |bench| async move {
        let host: Rc<dyn TaskQueueRpc> = bench.host.clone();
        let remote = remote(Via::Beyond);
        let answer = async |request: Value| -> Value {
            serde_json::from_slice(&host.answer(&request.to_string(), &remote).await).unwrap()
        };
        assert_eq!(answer(json!({"op": "status"})).await["error"], "unauthorized");
        let call = json!({"op": "call_tool", "tool": "nap", "args": {"ms": 1}, "token": "s3cret"});
        assert_eq!(answer(call).await["result"], "slept 1");
    });
}

#[test]
fn a_reset_cancels_the_call_of_a_tool() {
    with_bench(
        |_| {},
        |bench| async move {
            let mut end = bench.open(Via::Loopback, 256 << 10);
            let call = json!({"op": "call_tool", "tool": "nap", "args": {"ms": 15_000}, "timeout_s": 20});
            end.write_all(format!("{call}\n").as_bytes()).await.unwrap();
            while bench.core.metrics().requests_in_flight() == 0 {
                runtime::sleep(Duration::from_millis(2)).await;
            }
            // What follows is thrown away.
            end.write_all(b"{\"op\":\"status\"}\n").await.unwrap();
            drop(end);
            let begun = Instant::now();
            while bench.core.metrics().requests_in_flight() > 0 {
                assert!(begun.elapsed() < Duration::from_secs(5), "it goes on for nobody");
                runtime::sleep(Duration::from_millis(2)).await;
            }
        },
    );
}
