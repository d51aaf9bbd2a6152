//! The client over streams of messages, as libp2p has them, with a scripted peer at the other end of a pipe.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod endings;
mod limits;
mod modern;
mod old_peers;
mod pipe;
#[path = "../runtime_support/mod.rs"]
mod runtime_support;
mod sessions;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use ringmesh::client::p2p::{MessageStream, OpenStreams, P2pOptions, P2pTransport};
use ringmesh::client::{Client, ClientError, ClientOptions, LocalBoxFuture, TransportError};
use ringmesh::runtime::{Scope, ScopeOptions, sleep};
use serde_json::{Value, json};

use pipe::{Far, pair};

type Serve = Box<dyn Fn(Far) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A peer whose every stream is served by a function.
pub(crate) struct Peer {
    scope: Scope,
    serve: Serve,
    pub(crate) opened: Cell<usize>,
    pub(crate) refuse: RefCell<Option<TransportError>>,
    /// What it was sent, and on which stream.
    pub(crate) seen: Rc<RefCell<Vec<(usize, Value)>>>,
}

impl Peer {
    pub(crate) fn new<Fut>(scope: &Scope, serve: impl Fn(Far) -> Fut + 'static) -> Rc<Peer>
    where
        Fut: Future<Output = ()> + 'static,
    {
        Rc::new(Peer {
            scope: scope.clone(),
            serve: Box::new(move |far| Box::pin(serve(far))),
            opened: Cell::new(0),
            refuse: RefCell::default(),
            seen: Rc::default(),
        })
    }

    /// A peer of 2026-07-28 that answers `server/discover`; the rest is the test's.
    pub(crate) fn modern<Fut>(
        scope: &Scope,
        answer: impl Fn(Rc<RefCell<Far>>, Value) -> Fut + 'static,
    ) -> Rc<Peer>
    where
        Fut: Future<Output = ()> + 'static,
    {
        let answer = Rc::new(answer);
        Peer::new(scope, move |far| {
            let answer = Rc::clone(&answer);
            serve(far, move |far, message| {
                let answer = Rc::clone(&answer);
                async move {
                    match message["method"].as_str() {
                        Some("server/discover") => reply(&far, &message, discovered()).await,
                        _ => answer(far, message).await,
                    }
                }
            })
        })
    }

    /// The messages of a method that it was sent, and on which stream.
    pub(crate) fn sent(&self, method: &str) -> Vec<(usize, Value)> {
        let seen = self.seen.borrow();
        seen.iter().filter(|(_, message)| message["method"] == method).cloned().collect()
    }

    /// Waits until so many messages of a method came.
    pub(crate) async fn until(&self, method: &str, count: usize) {
        while self.sent(method).len() < count {
            sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn transport(self: &Rc<Peer>, options: P2pOptions) -> Rc<P2pTransport> {
        let streams: Rc<dyn OpenStreams> = Rc::<Peer>::clone(self);
        Rc::new(P2pTransport::new(&self.scope, streams, options))
    }
}

/// Serves the messages of one stream one after the other.
async fn serve<Fut>(far: Far, answer: impl Fn(Rc<RefCell<Far>>, Value) -> Fut)
where
    Fut: Future<Output = ()>,
{
    let far = Rc::new(RefCell::new(far));
    loop {
        let message = hear(&far).await;
        let Some(message) = message else { return };
        answer(Rc::clone(&far), message).await;
    }
}

/// The peers of the tests hold their end while they wait: each stream has one task.
#[allow(clippy::await_holding_refcell_ref, reason = "one task uses the end")]
pub(crate) async fn hear(far: &RefCell<Far>) -> Option<Value> {
    far.borrow_mut().hear().await
}

#[allow(clippy::await_holding_refcell_ref, reason = "one task uses the end")]
pub(crate) async fn reply(far: &RefCell<Far>, request: &Value, result: Value) {
    far.borrow_mut().result(request, result).await;
}

#[allow(clippy::await_holding_refcell_ref, reason = "one task uses the end")]
pub(crate) async fn note(far: &RefCell<Far>, method: &str, params: Value) {
    far.borrow_mut().note(method, params).await;
}

impl OpenStreams for Peer {
    fn open<'a>(&'a self) -> LocalBoxFuture<'a, Result<Box<dyn MessageStream>, TransportError>> {
        Box::pin(async move {
            if let Some(error) = &*self.refuse.borrow() {
                return Err(error.clone());
            }
            self.opened.set(self.opened.get() + 1);
            let (near, end) = pair();
            let far = Far { end, number: self.opened.get(), seen: Rc::clone(&self.seen) };
            self.scope.spawn("peer", (self.serve)(far)).unwrap();
            Ok(Box::new(near) as Box<dyn MessageStream>)
        })
    }

    fn target(&self) -> &str {
        "/memory/peer"
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn everything() -> Value {
    json!({ "tools": { "listChanged": true }, "logging": {}, "resources": { "subscribe": true } })
}

pub(crate) fn discovered() -> Value {
    json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": everything(),
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "peer", "version": "1" } },
        "ttlMs": 0, "cacheScope": "public" })
}

pub(crate) fn initialized(revision: &str) -> Value {
    json!({ "protocolVersion": revision, "capabilities": everything(),
        "serverInfo": { "name": "peer", "version": "1" } })
}

pub(crate) fn text(text: &str) -> Value {
    json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] })
}

pub(crate) fn options() -> ClientOptions {
    let mut options = ClientOptions::new("test", "1.0.0");
    options.retries.base = Duration::from_millis(1);
    options
}

pub(crate) async fn connect(peer: &Rc<Peer>, scope: &Scope) -> Client {
    Client::connect_over(scope, peer.transport(P2pOptions::default()), options()).await.unwrap()
}

/// Runs a test with a scope on an executor; whatever it leaves running ends with it.
pub(crate) fn run<Fut>(test: impl FnOnce(Scope) -> Fut + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    runtime_support::on_executor(move || async move {
        let body = |scope: Scope| async move {
            test(scope.clone()).await;
            scope.cancel();
            Ok::<(), ClientError>(())
        };
        let options = ScopeOptions { grace: Duration::from_millis(50), ..ScopeOptions::named("test") };
        Scope::run(options, body).await.unwrap();
    });
}

pub(crate) const SHORT: Duration = Duration::from_millis(30);
