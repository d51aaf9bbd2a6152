//! Servers that listen for peers, and what plays the peers.

use std::future::Future;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, future};
use ringmesh::p2p::address::{Endpoint, PeerAddress};
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::node::{DialError, Node, NodeOptions};
use ringmesh::p2p::stack::{Handle, PeerStream, Role, StackOptions, upgrade};
use ringmesh::p2p::{PING_PROTOCOL, PeerId, TASK_QUEUE_PROTOCOL};
use ringmesh::runtime::{AsyncStream, BoxError, Queue, Scope, ScopeOptions, Stream, sleep};
use ringmesh::{Server, ServerConfig};
use serde_json::{Value, json};

use crate::common::{self, PATIENCE, TestServer, tools};
use crate::runtime_support::on_executor;

/// A server that peers can connect to.
pub(crate) struct PeerServer {
    pub(crate) server: TestServer,
    pub(crate) address: PeerAddress,
}

pub(crate) fn serve() -> PeerServer {
    serve_with(|_| {})
}

pub(crate) fn serve_with(set: impl FnOnce(&mut ServerConfig)) -> PeerServer {
    let mut config = common::config();
    config.p2p_listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    set(&mut config);
    let (registry, _) = tools::registry();
    let server = TestServer::run(Server::new(config).registry(registry).builtin_tools());
    let address = health(&server)["p2p"]["listen"][0].as_str().unwrap().parse().unwrap();
    PeerServer { server, address }
}

pub(crate) fn health(server: &TestServer) -> Value {
    server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json()
}

impl PeerServer {
    pub(crate) fn socket_addr(&self) -> SocketAddr {
        match self.address.endpoint().unwrap() {
            Endpoint::Address(address) => address,
            Endpoint::Name { .. } => panic!("a listener has an address"),
        }
    }

    /// A connection that says nothing.
    pub(crate) fn dumb(&self) -> TcpStream {
        dumb(self.socket_addr())
    }

    /// libp2p connections now, as the server counts them.
    pub(crate) fn connections(&self) -> u64 {
        health(&self.server)["p2p"]["connections"].as_u64().unwrap()
    }

    /// The value of a series, or 0 where there is none.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        metric(&self.server, series)
    }

    /// Connections that were accepted and came to be.
    pub(crate) fn accepted(&self) -> u64 {
        by_core(&self.server, "ringmesh_p2p_connections_total", "direction=\"accepted\"").iter().sum()
    }

    pub(crate) fn hits(&self, limit: &str) -> u64 {
        self.metric(&format!("ringmesh_limit_hits_total{{limit=\"{limit}\"}}"))
    }

    /// Everything is as before: a new peer is answered, and so is HTTP.
    pub(crate) fn still_serves(&self) {
        let target = self.address.clone();
        let answer = as_peer(move |node, _| async move { status(&node, &target).await });
        assert_eq!(answer.unwrap()["ok"], true);
        let answer = self.server.client().call("echo", json!({ "message": "on" }));
        assert_eq!(answer.status, 200);
    }
}

/// The values of a family by core, of the series whose labels hold `label`.
pub(crate) fn by_core(server: &TestServer, family: &str, label: &str) -> Vec<u64> {
    let metrics = server.client().ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let lines = metrics.text().lines().filter(|line| line.starts_with(&format!("{family}{{")));
    let values = lines.filter(|line| line.contains(label)).map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<f64>().unwrap() as u64).collect()
}

pub(crate) fn metric(server: &TestServer, series: &str) -> u64 {
    let metrics = server.client().ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
}

pub(crate) fn dumb(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Runs a client-only node on an executor of its own.
pub(crate) fn as_peer<T, Fut>(test: impl FnOnce(Rc<Node>, Scope) -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    as_peer_with(Identity::ephemeral(), NodeOptions::default(), test)
}

pub(crate) fn as_peer_with<T, Fut>(
    identity: Identity,
    options: NodeOptions,
    test: impl FnOnce(Rc<Node>, Scope) -> Fut + Send + 'static,
) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    on_executor(move || async move {
        let scope = ScopeOptions { queue: Queue::P2p, ..ScopeOptions::named("peer") };
        let done = Scope::run(scope, |scope| async move {
            let node = Node::client(scope.clone(), identity, options);
            let done = test(node.clone(), scope.clone()).await;
            node.close().await;
            assert_eq!(node.connections(), 0, "nothing stays open");
            scope.cancel();
            Ok::<_, BoxError>(done)
        });
        done.await.unwrap()
    })
}

/// One request of the task queue RPC.
pub(crate) async fn rpc(node: &Rc<Node>, target: &PeerAddress, request: Value) -> Result<Value, String> {
    let opened = node.open(target, &[TASK_QUEUE_PROTOCOL]).await;
    let (stream, ..) = opened.map_err(|error| error.to_string())?;
    rpc_on(stream, request).await
}

pub(crate) async fn rpc_on(mut stream: PeerStream, request: Value) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("after the request was sent: {error}");
    stream.write_all(format!("{request}\n").as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while answer.last() != Some(&b'\n') {
        stream.read_exact(&mut byte).await.map_err(failed)?;
        answer.push(byte[0]);
    }
    serde_json::from_slice(&answer).map_err(|error| format!("{error} in {answer:?}"))
}

pub(crate) async fn status(node: &Rc<Node>, target: &PeerAddress) -> Result<Value, String> {
    rpc(node, target, json!({ "op": "status" })).await
}

/// A stream that stays open.
pub(crate) async fn ping_stream(node: &Rc<Node>, target: &PeerAddress) -> Result<PeerStream, DialError> {
    let (mut stream, ..) = node.open(target, &[PING_PROTOCOL]).await?;
    ping(&mut stream).await.map_err(|_| DialError::Closing)?;
    Ok(stream)
}

pub(crate) async fn ping(stream: &mut PeerStream) -> std::io::Result<()> {
    stream.write_all(&[7; 32]).await?;
    stream.flush().await?;
    let mut echo = [0; 32];
    stream.read_exact(&mut echo).await
}

/// A connection without a node around it, whose task does what `pause` lets it.
pub(crate) async fn bare(
    scope: &Scope,
    stream: Stream,
    expected: PeerId,
    pause: Rc<std::cell::Cell<bool>>,
) -> Handle {
    let role = Role::Dialer { expected: Some(expected) };
    let identity = Identity::ephemeral();
    let stack = StackOptions { max_streams: 1_000, ..StackOptions::default() };
    let upgraded = upgrade(AsyncStream::new(stream), role, identity.keypair(), &stack).await;
    let (handle, driver, _) = upgraded.unwrap();
    let mut driving = Box::pin(driver.run(drop));
    let task = future::poll_fn(move |cx| match pause.get() {
        true => std::task::Poll::Pending,
        false => driving.as_mut().poll(cx).map(|_| ()),
    });
    scope.spawn("bare", task).unwrap();
    handle
}

/// Waits until it is so, without holding up the executor.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about");
}
