//! Functions that block, run on the pool from within a handler of any kind.

use std::sync::{Arc, Mutex};

use ringmesh::mcp::{Context, McpOptions, Offload, OffloadFull, Registry, Resource};
use serde_json::json;

use crate::support::{Got, Server};

/// A pool that runs each job on a thread of its own, as often as it has room.
struct Threads(Mutex<usize>);

impl Offload for Threads {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull> {
        let mut room = self.0.lock().unwrap();
        *room = room.checked_sub(1).ok_or(OffloadFull)?;
        std::thread::Builder::new().name("pool".into()).spawn(job).unwrap();
        Ok(())
    }
}

fn registry() -> Registry {
    let file = Resource::new("test://file", "file", |context: Context| async move {
        context.offload(|| std::thread::current().name().map(str::to_owned).unwrap_or_default()).await
    });
    let bad = Resource::new("test://bad", "bad", |context: Context| async move {
        context.offload(|| -> String { panic!("secret") }).await
    });
    Registry::new().resource(file).resource(bad)
}

fn server(room: usize) -> Server {
    let pool = Arc::new(Threads(Mutex::new(room)));
    Server::with(registry(), McpOptions { offload: Some(pool), ..McpOptions::default() })
}

fn read(server: &Server, uri: &str) -> Got {
    server.modern("resources/read", json!({ "uri": uri }))
}

#[test]
fn what_blocks_runs_on_the_pool() {
    assert_eq!(read(&server(1), "test://file").result()["contents"][0]["text"], "pool");
}

#[test]
fn a_full_pool_is_overload_and_a_panic_an_error() {
    let server = server(1);
    let got = read(&server, "test://bad");
    assert_eq!((got.code(), got.message(), got.error()), (-32603, "Internal error", Some("panic")));
    let got = read(&server, "test://file");
    assert_eq!((got.status, got.code(), got.error()), (503, -33503, Some("blocking_full")));
    assert_eq!((got.retry_after_s, &got.body()["error"]["data"]["retryable"]), (Some(1), &json!(true)));
}

#[test]
fn without_a_pool_nothing_can_block() {
    let got = read(&Server::new(registry()), "test://file");
    assert_eq!((got.code(), got.error()), (-32603, Some("internal")));
}
