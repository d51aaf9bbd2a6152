//! The client against this crate's own server, over libp2p, in each revision that the server speaks.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::cell::Cell;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::tools::{Fate, Nothing};
use common::{TestServer, config};
use futures_lite::future::{or, zip};
use ringmesh::client::{
    self, CallOptions, Change, Client, ClientError, ClientOptions, ElicitReply, ListenFilter, Revision,
};
use ringmesh::config::Secret;
use ringmesh::mcp::{Context, Elicitation, ToolAnnotations};
use ringmesh::p2p::identity::Identity;
use ringmesh::runtime::{Scope, sleep};
use ringmesh::{BoxError, CallError, Registry, ServerConfig, Tool};
use serde_json::{Value, json};

/// A server that peers can connect to.
struct Served {
    server: TestServer,
    target: String,
    fate: Arc<Fate>,
    _folder: tempfile::TempDir,
}

/// The tools of all servers here, and some that announce, ask and look.
fn tools() -> (Registry, Arc<Fate>) {
    let (registry, fate) = common::tools::registry();
    let change = |_: Nothing, context: Context| async move {
        context.registry().tools_changed();
        Ok::<_, CallError>("changed")
    };
    let ask = |_: Nothing, context: Context| async move {
        let form = Elicitation::form("go on?", json!({ "type": "object", "properties": {} }));
        let answer = context.elicit("go on", form).await?;
        Ok::<_, CallError>(if answer.accepted() { "accepted" } else { "declined" })
    };
    let look = Tool::new("look", "Looks", |_: Nothing, _: Context| async { Ok::<_, CallError>("seen") });
    let harmless = ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() };
    let registry = registry
        .dynamic()
        .tool("change", "Announces changes", change)
        .tool("ask", "Asks", ask)
        .with(look.annotations(harmless));
    (registry, fate)
}

fn serve(adjust: impl FnOnce(&mut ServerConfig)) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::ephemeral();
    let key = folder.path().join("key");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&key).unwrap();
    std::io::Write::write_all(&mut file, identity.to_private_key().unwrap().as_bytes()).unwrap();
    // The port is free again as soon as it is known; another test takes it in between by a rare accident only.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut config = ServerConfig {
        p2p_listen: vec![format!("/ip4/127.0.0.1/tcp/{port}")],
        p2p_key_file: Some(key),
        data_dir: Some(folder.path().to_owned()),
        ..config()
    };
    adjust(&mut config);
    let (registry, fate) = tools();
    let server = TestServer::with_tools(config, registry);
    let target = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", identity.base58());
    Served { server, target, fate, _folder: folder }
}

fn options(revision: Option<Revision>) -> ClientOptions {
    let mut options = ClientOptions::new("test", "1.0.0");
    options.revision = revision;
    options.retries.base = Duration::from_millis(5);
    options
}

/// Runs a client, for twenty seconds at most.
fn run<Fut>(what: &str, test: impl FnOnce(Scope) -> Fut + Send + 'static)
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
    client::run(bounded).unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Runs a client in each revision, against one server.
fn in_each<Fut>(revisions: &[Revision], test: impl Fn(Client, Arc<Fate>) -> Fut + Send + Clone + 'static)
where
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    let served = serve(|_| {});
    for revision in revisions.iter().copied() {
        let (target, fate, test) = (served.target.clone(), Arc::clone(&served.fate), test.clone());
        run(revision.as_str(), move |scope| async move {
            let client = Client::connect(&scope, &target, options(Some(revision))).await?;
            assert_eq!(client.revision(), revision);
            test(client.clone(), fate).await?;
            client.close().await?;
            Ok(())
        });
    }
}

/// The revisions whose peers hear of anything but answers.
fn talkative() -> Vec<Revision> {
    Revision::ALL.iter().copied().filter(|revision| *revision != Revision::V2024_11_05).collect()
}

/// Runs all futures at once.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, done) in running.iter_mut().filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(cx) {
                std::task::Poll::Ready(output) => *done = Some(output),
                std::task::Poll::Pending => pending = true,
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}

#[test]
fn the_newest_revision_is_found() {
    let served = serve(|_| {});
    let target = served.target.clone();
    run("newest", move |scope| async move {
        let client = Client::connect(&scope, &target, options(None)).await?;
        assert_eq!(client.revision(), Revision::V2026_07_28);
        assert_eq!(client.discover().await?["supportedVersions"][0], "2026-07-28");
        client.close().await?;
        Ok(())
    });
}

#[test]
fn tools_are_listed_and_called_in_each_revision() {
    in_each(Revision::ALL, |client, _| async move {
        client.ping().await?;
        let tools = client.list_tools().await?;
        assert!(tools.iter().any(|tool| tool.name == "echo"));
        let call = |text: &'static str| client.call_tool("echo", json!({ "message": text }));
        let (one, two) = zip(call("one"), call("grüße \u{1F980}")).await;
        assert_eq!((one?.text(), two?.text()), ("one".into(), "grüße \u{1F980}".into()));
        let unknown = client.call_tool("no such tool", Value::Null).await.unwrap_err();
        assert!(unknown.protocol().is_some(), "{unknown}");
        Ok(())
    });
}

#[test]
fn many_calls_at_once_are_answered_and_large_answers_come_whole() {
    in_each(&[Revision::V2026_07_28, Revision::V2025_11_25], |client, _| async move {
        let calls: Vec<_> = (0..200)
            .map(|number| {
                let client = client.clone();
                async move { client.call_tool("echo", json!({ "message": number.to_string() })).await }
            })
            .collect();
        for (number, answer) in all(calls).await.into_iter().enumerate() {
            assert_eq!(answer?.text(), number.to_string());
        }
        let big = client.call_tool("big", json!({ "count": 1, "bytes": 1 << 20 })).await?;
        assert_eq!(big.text().len(), 1 << 20);
        Ok(())
    });
}

#[test]
fn progress_reaches_the_call_that_it_is_about() {
    in_each(&talkative(), |client, _| async move {
        let call = async |count: u64| {
            let heard = Rc::new(Cell::new(0));
            let hear = heard.clone();
            let options = CallOptions::new().on_progress(move |_| hear.set(hear.get() + 1));
            let arguments = json!({ "count": count, "bytes": 10 });
            let result = client.call_tool_with("events", arguments, options).await.unwrap();
            assert_eq!((result.text().as_str(), heard.get()), ("sent", count));
        };
        zip(call(3), zip(call(50), call(1))).await;
        Ok(())
    });
}

#[test]
fn a_dropped_call_is_cancelled_at_the_server() {
    // A peer of 2024-11-05 can only end its stream; what it asked for may run to its end.
    in_each(&talkative(), |client, fate| async move {
        let (started, dropped) = (fate.started.load(Ordering::SeqCst), fate.dropped.load(Ordering::SeqCst));
        let begun = async {
            while fate.started.load(Ordering::SeqCst) == started {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let call = async { drop(client.call_tool("linger", json!({ "ms": 20_000 })).await) };
        or(call, begun).await;
        while fate.dropped.load(Ordering::SeqCst) == dropped {
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(client.call_tool("echo", json!({ "message": "still here" })).await?.text(), "still here");
        assert_eq!(fate.finished.load(Ordering::SeqCst), 0);
        Ok(())
    });
}

#[test]
fn changes_are_heard() {
    in_each(&talkative(), |client, _| async move {
        let mut changes = client.listen(ListenFilter::default().tools()).await?;
        for _ in 0..2 {
            client.call_tool("change", json!({})).await?;
            assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
        }
        changes.close().await?;
        Ok(())
    });
}

#[test]
fn questions_of_a_tool_are_answered() {
    let served = serve(|_| {});
    for revision in [Revision::V2026_07_28, Revision::V2025_11_25, Revision::V2025_06_18] {
        let target = served.target.clone();
        run(revision.as_str(), move |scope| async move {
            let options = options(Some(revision)).on_elicit(|_| async { Ok(ElicitReply::Decline) });
            let client = Client::connect(&scope, &target, options).await?;
            assert_eq!(client.call_tool("ask", json!({})).await?.text(), "declined");
            client.close().await?;
            Ok(())
        });
    }
}

#[test]
fn a_stream_that_the_server_closed_is_replaced_and_so_is_the_session() {
    let served = serve(|config| config.limits.p2p_stream_idle_timeout_ms = 400);
    for revision in Revision::ALL.iter().copied() {
        let target = served.target.clone();
        run(revision.as_str(), move |scope| async move {
            let client = Client::connect(&scope, &target, options(Some(revision))).await?;
            for _ in 0..2 {
                assert_eq!(client.call_tool("echo", json!({ "message": "on" })).await?.text(), "on");
                sleep(Duration::from_millis(1_000)).await;
            }
            client.close().await?;
            Ok(())
        });
    }
}

#[test]
fn from_beyond_this_machine_state_changes_with_the_token_alone() {
    let served = serve(|config| {
        config.p2p_listen[0] = config.p2p_listen[0].replace("127.0.0.1", "0.0.0.0");
        config.p2p_token = Some(Secret("s3cret".into()));
    });
    for token in [None, Some("wrong"), Some("s3cret")] {
        let target = served.target.clone();
        run(token.unwrap_or("none"), move |scope| async move {
            let mut options = options(None);
            options.p2p.token = token.map(|token| Secret(token.into()));
            let client = Client::connect(&scope, &target, options).await?;
            assert_eq!(client.call_tool("look", json!({})).await?.text(), "seen");
            let changed = client.call_tool("change", json!({})).await;
            match (token, changed) {
                (Some("s3cret"), changed) => assert_eq!(changed?.text(), "changed"),
                (_, Err(ClientError::Protocol(error))) => assert_eq!(error.code, -33403, "{error}"),
                (_, other) => panic!("{other:?}"),
            }
            client.close().await?;
            Ok(())
        });
    }
}

#[test]
fn calls_of_a_node_that_stops_end() {
    let served = serve(|_| {});
    let target = served.target.clone();
    let handle = served.server.handle.clone();
    run("gone", move |scope| async move {
        let mut options = options(None);
        options.retries = ringmesh::client::RetryPolicy::none();
        let client = Client::connect(&scope, &target, options).await?;
        client.ping().await?;
        handle.stop();
        let error = loop {
            match client.call_tool("echo", json!({ "message": "x" })).await {
                Ok(_) => sleep(Duration::from_millis(5)).await,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ClientError::Transport { .. } | ClientError::Protocol(_)), "{error:?}");
        client.close().await?;
        Ok(())
    });
}
