//! Streams of peers, served on a core, over a pipe in memory.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod full;
mod limits;
mod newer;
mod recorded;
mod sessions;
mod shutdown;
mod stack;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future};
use serde_json::{Value, json};

use super::{McpHost, PeerGate, TaskQueueRpc, serve_mcp_stream};
use crate::config::ServerConfig;
use crate::limits::{Limit, Limits};
use crate::mcp::{Access, CallError, Context, Elicitation, LogLevel, Registry, Tool, ToolAnnotations};
use crate::p2p::frame::{FrameReader, write_frame};
use crate::p2p::{Keypair, LocalBoxFuture, PeerId, Remote, Via};
use crate::runtime::{self, ExecutorSettings, Scope, ScopeClosed, ScopeOptions, Watchdog, WatchdogSettings};
use crate::server::Server;
use crate::server::core::CoreState;
use crate::server::p2p::pipe::{End, pipe};
use crate::server::setup;

const WINDOW: usize = 256 << 10;
const NODE: &str = "12D3KooWServer";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Millis {
    ms: u64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Bytes {
    bytes: usize,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

/// Everything a test needs: a core, and peers that connect to it.
pub(super) struct Bench {
    core: Rc<CoreState>,
    host: Rc<McpHost>,
    scope: Scope,
    gate: Rc<TestGate>,
    window: Cell<usize>,
    /// Requests that the task queue saw.
    asked: Rc<RefCell<Vec<String>>>,
}

/// What the test lets peers do.
struct TestGate {
    access: Cell<Access>,
    left: Cell<u32>,
}

impl PeerGate for TestGate {
    fn admit(&self, _now: Instant) -> Result<(), Limit> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if left == 0 { Err(Limit::P2pRequestRate) } else { Ok(()) }
    }

    fn access(&self, token: Option<&str>) -> Access {
        if token == Some("secret") { Access::Full } else { self.access.get() }
    }
}

/// Answers as a queue without tasks would.
struct TestQueue(Rc<RefCell<Vec<String>>>);

impl TaskQueueRpc for TestQueue {
    fn answer<'a>(&'a self, request: &'a str, _remote: &'a Remote) -> LocalBoxFuture<'a, Vec<u8>> {
        self.0.borrow_mut().push(request.to_owned());
        let request: Value = serde_json::from_str(request).unwrap();
        Box::pin(async move {
            match request["op"].as_str() {
                Some("status" | "heartbeat") => json!({"ok": true, "peer_id": NODE}),
                Some("panic") => panic!("a test's"),
                Some("panic later") => {
                    runtime::yield_now().await;
                    panic!("a test's")
                }
                Some("hang") => future::pending().await,
                Some("big") => json!({"ok": true, "pad": "x".repeat(1 << 20)}),
                Some("submit" | "claim" | "list") => json!({"ok": false, "error": "queue_unavailable"}),
                _ => json!({"ok": false, "error": "unknown_op", "peer_id": NODE}),
            }
            .to_string()
            .into_bytes()
        })
    }
}

async fn remind(_: Nothing, context: Context) -> Result<String, CallError> {
    context.progress(1.0, Some(2.0), None).await;
    context.log(LogLevel::Warning, None, "soon").await;
    context.progress(2.0, Some(2.0), None).await;
    Ok("done".to_owned())
}

async fn ask(_: Nothing, context: Context) -> Result<String, CallError> {
    let name = context.elicit("name", Elicitation::typed::<Name>("Who?")).await?.read::<Name>()?.name;
    Ok(format!("hello {name}"))
}

async fn nap(args: Millis, _: Context) -> Result<String, CallError> {
    runtime::sleep(Duration::from_millis(args.ms)).await;
    Ok(format!("slept {}", args.ms))
}

async fn big(args: Bytes, _: Context) -> Result<String, CallError> {
    Ok("x".repeat(args.bytes))
}

/// What is registered in every test.
pub(super) fn registry() -> Registry {
    let look = Tool::new("look", "Reads", |_: Nothing, _: Context| async { Ok::<_, CallError>("seen") });
    Registry::new()
        .tool("remind", "Tells how far it is", remind)
        .tool("ask", "Asks its client", ask)
        .tool("nap", "Waits", nap)
        .tool("big", "Returns many bytes", big)
        .with(look.annotations(ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() }))
}

/// Runs `test` with a core that serves the usual tools.
pub(super) fn with_bench<F, Fut>(change: impl FnOnce(&mut Limits) + Send + 'static, test: F)
where
    F: FnOnce(Rc<Bench>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let mut config = ServerConfig::default();
    change(&mut config.limits);
    with_server(Server::new(config).registry(registry()).builtin_tools(), test);
}

/// Runs `test` with a core of that server, for twenty seconds at most.
pub(super) fn with_server<F, Fut>(server: Server, test: F)
where
    F: FnOnce(Rc<Bench>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let watchdog = Watchdog::start(WatchdogSettings::default()).unwrap();
    let main = move || async move {
        let tick = watchdog.register(0);
        runtime::warm_up().await;
        let shared = setup::prepare(server, &[0], false).unwrap().shared;
        let core = CoreState::new(shared, 0, tick.activity());
        let run = Scope::run(ScopeOptions::named("test"), |scope| async move {
            let asked = Rc::<RefCell<Vec<String>>>::default();
            let queue: Rc<dyn TaskQueueRpc> = Rc::new(TestQueue(asked.clone()));
            let host = McpHost::new(core.clone(), scope.clone(), NODE, Some(queue));
            let gate = Rc::new(TestGate { access: Cell::new(Access::Full), left: Cell::new(u32::MAX) });
            let window = Cell::new(WINDOW);
            let bench = Rc::new(Bench { core, host, scope: scope.clone(), gate, window, asked });
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

impl Bench {
    /// A peer with a stream of its own.
    pub(super) fn peer(&self) -> Peer {
        let (near, far) = pipe(self.window.get());
        self.serve(far);
        Peer::over(near)
    }

    /// Serves a stream of a new peer.
    pub(super) fn serve(&self, io: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let peer_id = PeerId::from(Keypair::generate_ed25519().public());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4001));
        let principal = peer_id.to_base58().into();
        let remote = Rc::new(Remote { peer_id, principal, address, via: Via::Loopback });
        let serving = serve_mcp_stream(self.host.clone(), io, remote, self.gate.clone());
        self.scope.spawn("stream", serving).unwrap();
    }

    /// How often a limit was hit.
    pub(super) fn hits(&self, limit: Limit) -> bool {
        let text = self.core.shared.metrics.render(&crate::observe::Snapshot::default());
        let name = format!("ringmesh_limit_hits_total{{limit=\"{}\"}}", limit.name());
        text.lines().any(|line| line.starts_with(&name) && !line.ends_with(" 0"))
    }
}

/// The other end of a stream.
pub(super) struct Peer<Io = End> {
    end: Io,
    reader: FrameReader,
    input: Vec<u8>,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Peer<Io> {
    pub(super) fn over(end: Io) -> Self {
        Peer { end, reader: FrameReader::new(u64::MAX), input: Vec::new() }
    }

    pub(super) async fn send(&mut self, message: &Value) {
        let mut out = Vec::new();
        write_frame(&mut out, message.to_string().as_bytes());
        self.send_bytes(&out).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        // A stream that was reset meanwhile is what some tests are about.
        let _ = self.end.write_all(bytes).await;
    }

    /// Says that nothing more is sent.
    pub(super) async fn half_close(&mut self) {
        self.end.close().await.unwrap();
    }

    /// The next message; `None` at the end of the stream, in order or not.
    pub(super) async fn next(&mut self) -> Option<Value> {
        self.next_or_end().await.unwrap_or_default()
    }

    /// As [`Peer::next`], with an error for a stream that was reset.
    pub(super) async fn next_or_end(&mut self) -> Result<Option<Value>, std::io::ErrorKind> {
        loop {
            let input = std::mem::take(&mut self.input);
            let mut rest = input.as_slice();
            if let Some(frame) = self.reader.next(&mut rest).unwrap() {
                let message = serde_json::from_slice(frame).unwrap();
                self.input = rest.to_vec();
                return Ok(Some(message));
            }
            let mut buffer = vec![0; 64 << 10];
            match self.end.read(&mut buffer).await {
                Ok(0) => return Ok(None),
                Ok(count) => self.input = buffer[..count].to_vec(),
                Err(error) => return Err(error.kind()),
            }
        }
    }

    /// Sends a request and waits for one message.
    pub(super) async fn ask(&mut self, message: &Value) -> Value {
        self.send(message).await;
        self.next().await.expect("an answer")
    }

    /// Nothing comes for a while.
    pub(super) async fn assert_quiet(&mut self) {
        runtime::sleep(Duration::from_millis(100)).await;
        let input = std::mem::take(&mut self.input);
        assert!(input.is_empty(), "{}", String::from_utf8_lossy(&input));
        let mut buffer = [0; 1024];
        let read = {
            let mut read = Box::pin(self.end.read(&mut buffer));
            poll_fn(|cx| match read.as_mut().poll(cx) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            })
            .await
        };
        assert!(read.is_none(), "{read:?} {}", String::from_utf8_lossy(&buffer));
    }
}

/// A request of 2026-07-28.
pub(super) fn modern(id: impl Into<Value>, method: &str, params: Value) -> Value {
    modern_with(id, method, params, json!({}))
}

/// As [`modern`], with more in `_meta`.
pub(super) fn modern_with(id: impl Into<Value>, method: &str, mut params: Value, more: Value) -> Value {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (key, value) in more.as_object().unwrap() {
        meta[key] = value.clone();
    }
    params["_meta"] = meta;
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

pub(super) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params})
}

pub(super) fn modern_call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    modern(id, "tools/call", json!({"name": tool, "arguments": arguments}))
}

pub(super) fn initialize(version: &str, capabilities: Value) -> Value {
    let params = json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "test", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

pub(super) fn old_initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
}

pub(super) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
