//! A server on our stack whose answers are always the same but for their ids: what the stack costs without MCP, and the
//! like of what the peer for comparison does.

use std::io::{self, Write as _};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::AsyncWriteExt as _;
use ringmesh::p2p::stack::{InboundStream, Role, StackOptions, upgrade};
use ringmesh::p2p::{Keypair, MCP_PROTOCOL, PeerId};
use ringmesh::runtime::{
    self, AsyncStream, BoxError, ExecutorSettings, Listener, Scope, ScopeOptions, Stream, Watchdog,
    WatchdogSettings, spawn_executor,
};

use super::exchange::Canned;
use super::lanes::read_frame;
use crate::options::CannedArgs;

/// Serves until the process is killed.
pub(crate) fn run(args: &CannedArgs) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| format!("the server failed: {error}");
    let watchdog = Watchdog::start(WatchdogSettings::default()).map_err(|error| text(&error))?;
    let answer_bytes = args.answer_bytes;
    let settings = ExecutorSettings { watchdog: Some(watchdog.clone()), ..ExecutorSettings::default() };
    let server = spawn_executor(args.cpu, "canned-0", &settings, move || async move {
        runtime::warm_up().await;
        let _tick = watchdog.register(0);
        let options = ScopeOptions { grace: Duration::ZERO, ..ScopeOptions::named("canned") };
        let outcome = Scope::run(options, |scope| serve(Rc::new(scope), Canned::new(answer_bytes))).await;
        outcome.map_err(|error| error.to_string())
    });
    server.map_err(|error| text(&error))?.join().map_err(|error| text(&error))?
}

async fn serve(scope: Rc<Scope>, canned: Canned) -> Result<(), BoxError> {
    let key = Keypair::generate_ed25519();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), 128)?;
    let port = listener.local_addr().port();
    writeln!(io::stdout(), "listening /ip4/127.0.0.1/tcp/{port}/p2p/{}", PeerId::from(key.public()))?;
    loop {
        let stream = listener.accept().await?;
        let (key, canned, inner) = (key.clone(), canned.clone(), Rc::clone(&scope));
        scope.spawn("connection", async move { connection(stream, &key, canned, inner).await })?;
    }
}

async fn connection(stream: Stream, key: &Keypair, canned: Canned, scope: Rc<Scope>) -> Result<(), BoxError> {
    let (_, driver, _) =
        upgrade(AsyncStream::new(stream), Role::Listener, key, &StackOptions::default()).await?;
    let inbound = |stream| {
        let canned = canned.clone();
        let _ = scope.spawn("stream", async move {
            // A client that is done ends its stream in the middle of nothing.
            let _ = answer(stream, canned).await;
        });
    };
    let _ = driver.run(inbound).await;
    Ok(())
}

async fn answer(stream: InboundStream, mut canned: Canned) -> io::Result<()> {
    let (mut stream, _) = stream.negotiate(&[MCP_PROTOCOL]).await.map_err(io::Error::other)?;
    let mut body = Vec::new();
    loop {
        read_frame(&mut stream, &mut body).await?;
        let answer = canned.answer(&body).ok_or_else(|| io::Error::other("a request without an id"))?;
        stream.write_all(answer).await?;
        stream.flush().await?;
    }
}
