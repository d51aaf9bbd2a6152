//! The closed loop: each lane has one request in flight, on a stream of its own or on a new one each time.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use ringmesh::p2p::MCP_PROTOCOL;
use ringmesh::p2p::address::PeerAddress;
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::node::{Node, NodeOptions};
use ringmesh::p2p::stack::PeerStream;
use ringmesh::runtime::{self, Queue, Scope, ScopeOptions};

use super::exchange::{Exchange, FIRST_ID, frame_length};
use super::{Both, Report, report};
use crate::fault::{ErrorKind, Fault};
use crate::options::{P2pArgs, StreamUse};
use crate::stats::Stats;

/// What the lanes share.
struct Shared {
    target: PeerAddress,
    exchange: RefCell<Exchange>,
    stats: RefCell<Stats>,
    measuring: Cell<bool>,
    over: Cell<bool>,
    dropped: Cell<u64>,
}

pub(super) async fn run(args: &P2pArgs) -> Result<Report, String> {
    let shared = Rc::new(Shared {
        target: args.target.clone(),
        exchange: RefCell::new(Exchange::new(FIRST_ID)),
        stats: RefCell::new(Stats::new()),
        measuring: Cell::new(false),
        over: Cell::new(false),
        dropped: Cell::new(0),
    });
    let options = ScopeOptions { grace: Duration::ZERO, queue: Queue::P2p, ..ScopeOptions::named("load") };
    let outcome = Scope::run(options, |scope| {
        let (args, shared) = (args.clone(), Rc::clone(&shared));
        async move { measure(&args, &shared, &scope).await }
    })
    .await;
    let (before, after) = outcome.map_err(|error| format!("the generator itself failed: {error}"))?;
    let exchange = shared.exchange.borrow();
    Ok(Report {
        dropped: shared.dropped.get(),
        request_bytes: exchange.request_bytes(),
        answer_bytes: exchange.answer_bytes(),
        ..report(&shared.stats.borrow(), &before, &after)
    })
}

async fn measure(
    args: &P2pArgs,
    shared: &Rc<Shared>,
    scope: &Scope,
) -> Result<(Both, Both), runtime::BoxError> {
    let mut nodes = Vec::new();
    for _ in 0..args.connections {
        let node = Node::client(scope.clone(), Identity::ephemeral(), NodeOptions::default());
        // The first stream dials, so that no lane's first request does.
        drop(node.open(&args.target, &[MCP_PROTOCOL]).await?);
        nodes.push(node);
    }
    for index in 0..args.in_flight as usize {
        let (node, shared) = (Rc::clone(&nodes[index % nodes.len()]), Rc::clone(shared));
        let long_lived = args.mode == StreamUse::LongLived;
        scope.spawn("lane", async move { lane(&node, &shared, long_lived).await })?;
    }
    runtime::sleep(args.warmup_s).await;
    let before = Both::now(args)?;
    shared.measuring.set(true);
    runtime::sleep(args.duration_s).await;
    shared.measuring.set(false);
    let after = Both::now(args)?;
    shared.over.set(true);
    for node in nodes {
        node.close().await;
    }
    scope.cancel();
    Ok((before, after))
}

/// Asks until the run is over. A stream that ends without an answer is opened again, and the request's time goes on.
async fn lane(node: &Rc<Node>, shared: &Shared, long_lived: bool) {
    let (mut kept, mut body) = (None, Vec::new());
    while !shared.over.get() {
        let started = Instant::now();
        let stream = match kept.take() {
            Some(stream) => Ok(stream),
            None => node.open(&shared.target, &[MCP_PROTOCOL]).await.map(|(stream, ..)| stream),
        };
        let mut stream: PeerStream = match stream {
            Ok(stream) => stream,
            Err(error) => return shared.fail(Fault::new(ErrorKind::Connect, error.to_string())),
        };
        match shared.ask(&mut stream, &mut body).await {
            Err(_) if shared.over.get() => return,
            Err(_) => shared.dropped.set(shared.dropped.get() + 1),
            Ok(()) => shared.right(started),
        }
        if long_lived {
            kept = Some(stream);
        } else {
            let _ = stream.close().await;
        }
    }
}

impl Shared {
    async fn ask(&self, stream: &mut PeerStream, body: &mut Vec<u8>) -> io::Result<()> {
        let id = {
            let mut exchange = self.exchange.borrow_mut();
            let (id, request) = exchange.next_request();
            body.clear();
            body.extend_from_slice(request);
            id
        };
        stream.write_all(body).await?;
        stream.flush().await?;
        read_frame(stream, body).await?;
        if let Err(error) = self.exchange.borrow_mut().check(id, body) {
            self.fail(Fault::new(ErrorKind::Text, error));
        }
        Ok(())
    }

    fn right(&self, started: Instant) {
        if self.measuring.get() {
            self.stats.borrow_mut().record(started.elapsed());
        }
    }

    fn fail(&self, fault: Fault) {
        self.stats.borrow_mut().fail(fault, 1);
    }
}

/// The bytes of the next frame without its length; they replace what `body` held.
pub(super) async fn read_frame(stream: &mut PeerStream, body: &mut Vec<u8>) -> io::Result<()> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await?;
    body.resize(frame_length(prefix).map_err(io::Error::other)?, 0);
    stream.read_exact(body).await
}
