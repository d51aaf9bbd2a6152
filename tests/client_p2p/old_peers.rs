//! The nodes that this one replaces: 2024-11-05, one request at a time, one answer to each, no notification.

use std::cell::Cell;
use std::rc::Rc;

use futures_lite::future::{or, zip};
use ringmesh::client::p2p::P2pOptions;
use ringmesh::client::{CallOptions, Client, ClientError, Revision, TransportError};
use ringmesh::runtime::{Scope, sleep};
use serde_json::{Value, json};

use super::{Peer, SHORT, connect, options, run};

/// What they answer to `initialize`, as far as a client reads it.
fn initialized() -> Value {
    json!({ "ok": true, "protocolVersion": "2024-11-05", "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "old", "version": "1.0.0" }, "transport": "/mcp+p2p/1.0.0",
        "limits": { "max_frame_bytes": 4096, "max_frames": 128 } })
}

/// What they answer from the task queue: a bare object where MCP has an array.
fn task_queue(request: &Value) -> Value {
    match request["op"].as_str() {
        Some("status") => json!({ "ok": true, "peer_id": "old", "queue": { "queued": 2 } }),
        _ => json!({ "ok": false, "error": "unknown_op", "peer_id": "old" }),
    }
}

/// Such a peer. It fails the test when a request comes before the answer to the one before, and remembers how many
/// requests it has begun.
fn old(scope: &Scope) -> (Rc<Peer>, Rc<Cell<usize>>) {
    let served = Rc::new(Cell::new(0));
    let counted = Rc::clone(&served);
    let peer = Peer::new(scope, move |mut far| {
        let counted = Rc::clone(&counted);
        async move {
            let mut is_begun = false;
            while let Some(message) = far.hear().await {
                assert!(message.get("id").is_some(), "a notification: {message}");
                match message["method"].as_str().unwrap() {
                    "initialize" => {
                        is_begun = true;
                        far.result(&message, initialized()).await;
                    }
                    _ if !is_begun => {
                        far.error(&message, -32000, "init_required").await;
                        return;
                    }
                    _ => {
                        counted.set(counted.get() + 1);
                        let early = async {
                            far.hear().await;
                            true
                        };
                        let work = async {
                            sleep(SHORT).await;
                            false
                        };
                        if or(early, work).await {
                            return;
                        }
                        let name = message["params"]["name"].clone();
                        let content = match name.as_str() {
                            Some("task_queue.rpc") => task_queue(&message["params"]["arguments"]),
                            _ => json!([{ "type": "text", "text": name }]),
                        };
                        far.result(&message, json!({ "content": content })).await;
                    }
                }
            }
        }
    });
    (peer, served)
}

#[test]
fn the_probe_finds_an_old_peer_although_it_ends_the_stream() {
    run(|scope| async move {
        let (peer, _) = old(&scope);
        let client = connect(&peer, &scope).await;
        assert_eq!(client.revision(), Revision::V2024_11_05);
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "t");
        let methods: Vec<_> = peer.seen.borrow().iter().map(|(_, it)| it["method"].clone()).collect();
        assert_eq!(methods, ["server/discover", "initialize", "tools/call"]);
        client.close().await.unwrap();
    });
}

#[test]
fn the_task_queue_of_an_old_peer_answers_as_a_tool() {
    run(|scope| async move {
        let (peer, _) = old(&scope);
        let client = connect(&peer, &scope).await;
        let status = client.call_tool("task_queue.rpc", json!({ "op": "status" })).await.unwrap();
        assert_eq!(status.structured_content.as_ref().unwrap()["queue"]["queued"], 2);
        assert!(!status.is_error && status.text().contains(r#""queued":2"#), "{status:?}");
        let refused = client.call_tool("task_queue.rpc", json!({ "op": "no such" })).await.unwrap();
        assert!(refused.is_error && refused.text().contains("unknown_op"), "{refused:?}");
    });
}

#[test]
fn requests_wait_for_each_other() {
    run(|scope| async move {
        let (peer, served) = old(&scope);
        let client = connect(&peer, &scope).await;
        let calls = zip(
            zip(client.call_tool("a", Value::Null), client.call_tool("b", Value::Null)),
            client.call_tool("c", Value::Null),
        );
        let ((a, b), c) = calls.await;
        assert_eq!([a, b, c].map(|it| it.unwrap().text()), ["a", "b", "c"]);
        assert_eq!((served.get(), peer.opened.get()), (3, 2));
    });
}

#[test]
fn a_request_that_is_given_up_ends_the_stream_and_the_next_begins_anew() {
    run(|scope| async move {
        let (peer, served) = old(&scope);
        let client = connect(&peer, &scope).await;
        let soon = CallOptions::new().timeout(SHORT / 3);
        let late = client.call_tool_with("slow", Value::Null, soon).await;
        assert!(matches!(late, Err(ClientError::Timeout { .. })), "{late:?}");
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "t");
        assert_eq!((served.get(), peer.sent("initialize").len()), (2, 2));
    });
}

#[test]
fn a_request_that_only_waited_leaves_no_trace() {
    run(|scope| async move {
        let (peer, served) = old(&scope);
        let client = connect(&peer, &scope).await;
        let soon = CallOptions::new().timeout(SHORT / 3);
        let (first, second) =
            zip(client.call_tool("a", Value::Null), client.call_tool_with("b", Value::Null, soon)).await;
        assert_eq!(first.unwrap().text(), "a");
        assert!(matches!(second, Err(ClientError::Timeout { .. })));
        assert_eq!((served.get(), peer.sent("initialize").len()), (1, 1));
    });
}

#[test]
fn a_request_that_the_peer_would_not_read_is_refused_here() {
    run(|scope| async move {
        let (peer, served) = old(&scope);
        let client = connect(&peer, &scope).await;
        let error = client.call_tool("t", json!({ "text": "x".repeat(5_000) })).await.unwrap_err();
        let ClientError::Transport { error: TransportError::Unsupported(why), .. } = error else {
            panic!("{error}")
        };
        assert!(why.contains("at most 4096"), "{why}");
        assert_eq!(served.get(), 0);
    });
}

#[test]
fn what_a_client_would_say_on_its_own_is_not_sent() {
    run(|scope| async move {
        let (peer, _) = old(&scope);
        let roots = options().on_roots(|| async { Ok(Vec::new()) });
        let client =
            Client::connect_over(&scope, peer.transport(P2pOptions::default()), roots).await.unwrap();
        client.roots_changed().await.unwrap();
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(peer.seen.borrow().len(), 3);
    });
}

#[test]
fn a_peer_that_only_ends_the_stream_is_an_old_one_too() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            while let Some(message) = far.hear().await {
                match message["method"].as_str() {
                    Some("initialize") => far.result(&message, initialized()).await,
                    _ => return,
                }
            }
        });
        assert_eq!(connect(&peer, &scope).await.revision(), Revision::V2024_11_05);
    });
}
