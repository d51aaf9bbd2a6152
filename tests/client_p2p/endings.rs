//! Streams that die, and clients that end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ringmesh::client::p2p::P2pOptions;
use ringmesh::client::{Client, ClientError, ListenFilter, TransportError};
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

use super::{Peer, SHORT, connect, discovered, options, run, text};

#[test]
fn all_requests_on_a_dead_stream_fail_and_none_that_may_have_run_is_repeated() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            let probe = far.hear().await.unwrap();
            far.result(&probe, discovered()).await;
            let (one, _two) = (far.hear().await.unwrap(), far.hear().await.unwrap());
            let token = &one["params"]["_meta"]["progressToken"];
            far.note("progress", json!({ "progressToken": token, "progress": 1 })).await;
        });
        let client = connect(&peer, &scope).await;
        let progress = ringmesh::client::CallOptions::new().on_progress(|_| {});
        let calls = futures_lite::future::zip(
            client.call_tool_with("one", Value::Null, progress),
            client.call_tool("two", Value::Null),
        );
        let (one, two) = calls.await;
        for (outcome, before_answer) in [(one, false), (two, true)] {
            let ClientError::Transport { error, .. } = outcome.unwrap_err() else { panic!("another error") };
            assert_eq!(error, TransportError::Closed { before_answer });
        }
        assert_eq!((peer.opened.get(), peer.sent("tools/call").len()), (1, 2));
    });
}

#[test]
fn a_request_that_changes_nothing_is_repeated_on_another_stream() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            while let Some(message) = far.hear().await {
                match (message["method"].as_str().unwrap(), far.number) {
                    ("server/discover", _) => far.result(&message, discovered()).await,
                    (_, 1) => return,
                    _ => far.result(&message, json!({ "resultType": "complete", "tools": [] })).await,
                }
            }
        });
        let client = connect(&peer, &scope).await;
        assert!(client.list_tools().await.unwrap().is_empty());
        assert_eq!((peer.opened.get(), peer.sent("tools/list").len()), (2, 2));
    });
}

#[test]
fn closing_ends_requests_streams_and_tasks() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, message| async move {
            if message["method"] == "subscriptions/listen" {
                let meta = json!({ "io.modelcontextprotocol/subscriptionId": message["id"] });
                super::note(
                    &far,
                    "subscriptions/acknowledged",
                    json!({ "_meta": meta, "notifications": {} }),
                )
                .await;
            }
        });
        let transport = peer.transport(P2pOptions::default());
        let client = Client::connect_over(&scope, transport.clone(), options()).await.unwrap();
        let mut changes = client.listen(ListenFilter::default().tools()).await.unwrap();
        let other = client.clone();
        let call = async { other.call_tool("silent", Value::Null).await.unwrap_err() };
        let close = async {
            sleep(SHORT).await;
            client.close().await.unwrap();
        };
        let (error, ()) = futures_lite::future::zip(call, close).await;
        assert_eq!(error, ClientError::Closed);
        assert_eq!(changes.next().await, None);
        assert_eq!(transport.open_streams(), 0);
        let soon = async {
            scope.wait_idle().await;
            true
        };
        let late = async {
            sleep(Duration::from_secs(2)).await;
            false
        };
        assert!(futures_lite::future::or(soon, late).await, "a task is left");
    });
}

#[test]
fn dropping_the_client_ends_its_streams() {
    run(|scope| async move {
        let peer =
            Peer::modern(&scope, |far, call| async move { super::reply(&far, &call, text("x")).await });
        let transport = peer.transport(P2pOptions::default());
        let client = Client::connect_over(&scope, transport, options()).await.unwrap();
        client.call_tool("t", Value::Null).await.unwrap();
        drop(client);
        let soon = async {
            scope.wait_idle().await;
            true
        };
        let late = async {
            sleep(Duration::from_secs(2)).await;
            false
        };
        assert!(futures_lite::future::or(soon, late).await, "a task is left");
    });
}

#[test]
fn a_stream_is_closed_in_order_however_many_turns_that_takes() {
    run(|scope| async move {
        let closed = Rc::new(Cell::new(false));
        let seen = Rc::clone(&closed);
        let peer = Peer::new(&scope, move |mut far| {
            let seen = Rc::clone(&seen);
            async move {
                while let Some(message) = far.hear().await {
                    far.result(&message, discovered()).await;
                }
                seen.set(far.end.was_closed());
            }
        });
        connect(&peer, &scope).await.close().await.unwrap();
        scope.wait_idle().await;
        assert!(closed.get(), "it was reset");
    });
}
