//! The HTTP transport of the client against scripted servers on loopback.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and this file is the whole crate"
)]

mod answers;
mod connections;
mod server;
mod streams;
mod tls;

use std::future::Future;
use std::time::Duration;

use ringmesh::client::http::{HttpOptions, HttpTransport};
use ringmesh::client::{Incoming, IncomingContent, Outgoing, OutgoingHead, Transport, TransportError, Verb};
use ringmesh::runtime::{ExecutorSettings, Watchdog, WatchdogSettings, sleep, spawn_executor, warm_up};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `test` on a watched executor, for twenty seconds at most.
pub(crate) fn on_executor<T, Fut>(test: impl FnOnce() -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let watchdog = Watchdog::start(WatchdogSettings::default()).unwrap();
    let main = move || async move {
        warm_up().await;
        let _tick = watchdog.register(0);
        let late = async {
            sleep(2 * PATIENCE).await;
            panic!("the test did not end in twenty seconds")
        };
        futures_lite::future::or(test(), late).await
    };
    spawn_executor(None, "test", &ExecutorSettings::default(), main).unwrap().join().unwrap()
}

pub(crate) fn transport(url: &str) -> HttpTransport {
    HttpTransport::new(url, HttpOptions::default()).unwrap()
}

/// A POST that may be sent again.
pub(crate) fn post(body: &str) -> Outgoing {
    Outgoing {
        verb: Verb::Post,
        body: body.as_bytes().to_vec(),
        head: OutgoingHead::default(),
        timeout: PATIENCE,
        idle_timeout: Some(PATIENCE),
        idempotent: true,
    }
}

/// The body of an answer as text; empty for none.
pub(crate) fn text(incoming: Incoming) -> String {
    match incoming.content {
        IncomingContent::None => String::new(),
        IncomingContent::Body { bytes, .. } => String::from_utf8(bytes).unwrap(),
        IncomingContent::Events(_) => panic!("an event stream where a body was expected"),
    }
}

pub(crate) async fn ask(transport: &HttpTransport, outgoing: Outgoing) -> Result<String, TransportError> {
    transport.exchange(outgoing).await.map(text)
}
