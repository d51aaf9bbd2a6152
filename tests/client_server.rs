//! The client against this crate's own server, over HTTP, in each revision that the server speaks.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{TestServer, config};
use futures_lite::future::{or, zip};
use ringmesh::BoxError;
use ringmesh::client::{self, CallOptions, Client, ClientError, ClientOptions, ListenFilter, Revision};
use ringmesh::runtime::{Scope, sleep};
use serde_json::{Value, json};

/// Runs a client against the address, for twenty seconds at most.
fn run<Fut>(test: impl FnOnce(Scope) -> Fut + Send + 'static)
where
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    let bounded = |scope| async move {
        let late = async {
            sleep(2 * common::PATIENCE).await;
            Err("the test did not end in twenty seconds".into())
        };
        or(test(scope), late).await
    };
    client::run(bounded).unwrap();
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}/mcp")
}

fn options(revision: Option<Revision>) -> ClientOptions {
    let mut options = ClientOptions::new("test", "1.0.0");
    options.revision = revision;
    options.retries.base = Duration::from_millis(5);
    options
}

/// What the server speaks and this client too.
fn revisions() -> Vec<Revision> {
    let names = ringmesh::mcp::Revision::ALL.iter().map(|revision| revision.as_str());
    names.filter_map(Revision::parse).collect()
}

#[test]
fn the_newest_revision_is_found() {
    let server = TestServer::start(config());
    let target = url(server.addr);
    run(move |scope| async move {
        let client = Client::connect(&scope, &target, options(None)).await?;
        assert_eq!(client.revision(), Revision::V2026_07_28);
        assert!(!client.server().name.is_empty() && client.server().offers("tools"));
        assert_eq!(client.discover().await?["supportedVersions"][0], "2026-07-28");
        client.close().await?;
        Ok(())
    });
}

#[test]
fn tools_are_listed_and_called_in_each_revision() {
    let (registry, _) = common::tools::registry();
    let server = TestServer::with_tools(config(), registry);
    assert!(revisions().len() >= 3);
    for revision in revisions() {
        let target = url(server.addr);
        run(move |scope| async move {
            let client = Client::connect(&scope, &target, options(Some(revision))).await?;
            assert_eq!(client.revision(), revision);
            client.ping().await?;
            let tools = client.list_tools().await?;
            let echo = tools.iter().find(|tool| tool.name == "echo").unwrap();
            assert_eq!(echo.input_schema.value()["type"], "object");
            let result = client.call_tool("echo", json!({ "message": "grüße \u{1F980}" })).await?;
            assert_eq!((result.text().as_str(), result.is_error), ("grüße \u{1F980}", false));
            let refused = client.call_tool("echo", json!({ "message": 7 })).await?;
            assert!(refused.is_error, "{refused:?}");
            let unknown = client.call_tool("no such tool: ü", Value::Null).await.unwrap_err();
            assert_eq!(unknown.protocol().unwrap().code, -32602);
            let raw = client.request_raw("no/such", json!({})).await.unwrap_err();
            assert_eq!(raw.protocol().unwrap().code, -32601, "{raw}");
            client.close().await?;
            Ok(())
        });
    }
}

#[test]
fn progress_arrives_on_the_calls_own_stream() {
    let (registry, _) = common::tools::registry();
    let server = TestServer::with_tools(config(), registry);
    for revision in revisions() {
        let target = url(server.addr);
        run(move |scope| async move {
            let client = Client::connect(&scope, &target, options(Some(revision))).await?;
            let call = async |count: u64| {
                let heard = Rc::new(Cell::new(0));
                let hear = heard.clone();
                let options = CallOptions::new().on_progress(move |_| hear.set(hear.get() + 1));
                let arguments = json!({ "count": count, "bytes": 10 });
                let result = client.call_tool_with("events", arguments, options).await.unwrap();
                assert_eq!((result.text().as_str(), heard.get()), ("sent", count));
            };
            zip(call(3), zip(call(50), call(1))).await;
            client.close().await?;
            Ok(())
        });
    }
}

#[test]
fn a_dropped_call_is_cancelled_at_the_server() {
    for revision in revisions() {
        let (registry, fate) = common::tools::registry();
        let server = TestServer::with_tools(config(), registry);
        let target = url(server.addr);
        let known = fate.clone();
        run(move |scope| async move {
            let client = Client::connect(&scope, &target, options(Some(revision))).await?;
            let started = async {
                while known.started.load(Ordering::SeqCst) == 0 {
                    sleep(Duration::from_millis(2)).await;
                }
            };
            let call = async {
                let _ = client.call_tool("linger", json!({ "ms": 20_000 })).await;
            };
            or(call, started).await;
            while known.dropped.load(Ordering::SeqCst) == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            client.close().await?;
            Ok(())
        });
        assert_eq!(fate.finished.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_time_out_leaves_the_client_usable() {
    let (registry, _) = common::tools::registry();
    let server = TestServer::with_tools(config(), registry);
    for revision in revisions() {
        let target = url(server.addr);
        run(move |scope| async move {
            let client = Client::connect(&scope, &target, options(Some(revision))).await?;
            let short = CallOptions::new().timeout(Duration::from_millis(50));
            let error = client.call_tool_with("sleep", json!({ "ms": 5_000 }), short).await.unwrap_err();
            assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
            assert_eq!(
                client.call_tool("echo", json!({ "message": "still here" })).await?.text(),
                "still here"
            );
            client.close().await?;
            Ok(())
        });
    }
}

#[test]
fn an_older_session_ends_with_the_client() {
    let server = TestServer::start(config());
    let target = url(server.addr);
    run(move |scope| async move {
        let client = Client::connect(&scope, &target, options(Some(Revision::V2025_11_25))).await?;
        let subscription = client.listen(ListenFilter::lists()).await?;
        let other = client.clone();
        client.close().await?;
        assert_eq!(other.ping().await, Err(ClientError::Closed));
        assert_eq!(scope.tasks(), 0);
        drop(subscription);
        Ok(())
    });
}

#[test]
fn a_restarted_server_is_found_again_with_a_new_session() {
    let server = TestServer::start(config());
    let addr = server.addr;
    let (stopped, restarted) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<TestServer>());
    let target = url(addr);
    let thread = std::thread::spawn(move || {
        stopped.1.recv().unwrap();
        server.stop().unwrap();
        let again = ringmesh::ServerConfig { listen: vec![addr], ..config() };
        restarted.0.send(TestServer::start(again)).unwrap();
    });
    let stop = stopped.0;
    let back = restarted.1;
    run(move |scope| async move {
        let client = Client::connect(&scope, &target, options(Some(Revision::V2025_11_25))).await?;
        client.ping().await?;
        stop.send(())?;
        let server = loop {
            match back.try_recv() {
                Ok(server) => break server,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        let result = client.call_tool("echo", json!({ "message": "again" })).await?;
        assert_eq!(result.text(), "again");
        client.close().await?;
        drop(server);
        Ok(())
    });
    thread.join().unwrap();
}

#[test]
fn targets_that_cannot_be_are_refused_with_the_reason() {
    run(|scope| async move {
        for target in ["", "localhost:8000", "ftp://localhost/mcp", "http://user:secret@localhost/mcp"] {
            let error = Client::connect(&scope, target, options(None)).await.unwrap_err();
            assert!(matches!(error, ClientError::Options(_)), "{target}: {error:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut options = options(None);
        options.retries = ringmesh::client::RetryPolicy::none();
        let error = Client::connect(&scope, &url(nobody), options).await.unwrap_err();
        assert!(error.to_string().contains(&nobody.to_string()), "{error}");
        Ok(())
    });
}
