//! Peers of 2026-07-28: each request stands for itself, many at a time.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::{or, zip};
use ringmesh::client::p2p::P2pOptions;
use ringmesh::client::{CallOptions, Change, Client, ClientError, ListenFilter};
use ringmesh::config::Secret;
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

use super::{Peer, SHORT, connect, discovered, note, options, reply, run, text};

const ACKNOWLEDGED: &str = "subscriptions/acknowledged";

fn subscription(id: &Value) -> Value {
    json!({ "io.modelcontextprotocol/subscriptionId": id })
}

#[test]
fn requests_share_a_stream_and_answers_come_in_any_order() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            let probe = far.hear().await.unwrap();
            far.result(&probe, discovered()).await;
            let (one, two) = (far.hear().await.unwrap(), far.hear().await.unwrap());
            for request in [&two, &one] {
                let name = request["params"]["name"].as_str().unwrap().to_owned();
                far.result(request, text(&name)).await;
            }
            far.hear().await;
        });
        let client = connect(&peer, &scope).await;
        let (one, two) =
            zip(client.call_tool("one", Value::Null), client.call_tool("two", Value::Null)).await;
        assert_eq!((one.unwrap().text(), two.unwrap().text()), ("one".into(), "two".into()));
        assert_eq!(peer.opened.get(), 1);
        client.close().await.unwrap();
    });
}

#[test]
fn progress_and_logs_come_before_the_answer() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, call| async move {
            let token = &call["params"]["_meta"]["progressToken"];
            note(&far, "message", json!({ "level": "info", "data": "begun" })).await;
            note(&far, "progress", json!({ "progressToken": token, "progress": 1 })).await;
            reply(&far, &call, text("done")).await;
        });
        let (logs, steps) = (Rc::new(std::cell::Cell::new(0)), Rc::new(std::cell::Cell::new(0)));
        let (logged, stepped) = (Rc::clone(&logs), Rc::clone(&steps));
        let options = options().on_log(move |_| logged.set(logged.get() + 1));
        let client =
            Client::connect_over(&scope, peer.transport(P2pOptions::default()), options).await.unwrap();
        let call = CallOptions::new().on_progress(move |_| stepped.set(stepped.get() + 1));
        let result = client.call_tool_with("t", Value::Null, call).await.unwrap();
        assert_eq!((result.text().as_str(), logs.get(), steps.get()), ("done", 1, 1));
    });
}

#[test]
fn a_request_that_is_given_up_is_cancelled_on_its_stream() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, message| async move {
            if message["params"]["name"] == "quick" {
                reply(&far, &message, text("still there")).await;
            }
        });
        let client = connect(&peer, &scope).await;
        let slow = async { drop(client.call_tool("slow", Value::Null).await) };
        or(slow, async { sleep(SHORT).await }).await;
        peer.until("notifications/cancelled", 1).await;
        let (call, cancelled) = (&peer.sent("tools/call")[0], &peer.sent("notifications/cancelled")[0]);
        assert_eq!(cancelled.0, call.0, "on the same stream");
        assert_eq!(cancelled.1["params"]["requestId"], call.1["id"]);
        assert_eq!(client.call_tool("quick", Value::Null).await.unwrap().text(), "still there");
        assert_eq!(peer.opened.get(), 1, "the stream stays for others");
        let late = client.call_tool_with("slow", Value::Null, CallOptions::new().timeout(SHORT)).await;
        assert!(matches!(late, Err(ClientError::Timeout { .. })), "{late:?}");
        peer.until("notifications/cancelled", 2).await;
    });
}

#[test]
fn subscriptions_hear_their_own_changes_and_are_cancelled() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, message| async move {
            let id = &message["id"];
            match message["method"].as_str().unwrap() {
                "subscriptions/listen" => {
                    let granted = &message["params"]["notifications"];
                    note(&far, ACKNOWLEDGED, json!({ "_meta": subscription(id), "notifications": granted }))
                        .await;
                    note(&far, "tools/list_changed", json!({ "_meta": subscription(id) })).await;
                }
                "tools/call" => reply(&far, &message, text("beside")).await,
                _ => {}
            }
        });
        let client = connect(&peer, &scope).await;
        let mut changes = client.listen(ListenFilter::default().tools()).await.unwrap();
        assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "beside");
        drop(changes);
        peer.until("notifications/cancelled", 1).await;
        let listen = &peer.sent("subscriptions/listen")[0];
        assert_eq!(peer.sent("notifications/cancelled")[0].1["params"]["requestId"], listen.1["id"]);
        assert_eq!(peer.opened.get(), 1);
    });
}

#[test]
fn a_server_may_end_a_subscription_by_cancelling_it() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, message| async move {
            if message["method"] == "subscriptions/listen" {
                let id = &message["id"];
                note(&far, ACKNOWLEDGED, json!({ "_meta": subscription(id), "notifications": {} })).await;
                note(&far, "cancelled", json!({ "requestId": id })).await;
            }
        });
        let client = connect(&peer, &scope).await;
        let mut changes = client.listen(ListenFilter::default().tools()).await.unwrap();
        assert_eq!(changes.next().await, None);
        sleep(SHORT).await;
        assert!(peer.sent("notifications/cancelled").is_empty(), "it has ended already");
    });
}

#[test]
fn a_stream_that_died_while_idle_is_replaced() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            let probe = far.hear().await.unwrap();
            match probe["method"].as_str() {
                Some("server/discover") => far.result(&probe, discovered()).await,
                _ => {
                    far.result(&probe, text("again")).await;
                    far.hear().await;
                }
            }
        });
        let client = connect(&peer, &scope).await;
        sleep(SHORT).await;
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "again");
        assert_eq!(peer.opened.get(), 2);
    });
}

#[test]
fn the_token_is_in_every_request_and_in_nothing_else() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, message| async move {
            if message["params"]["name"] == "t" {
                reply(&far, &message, text("ok")).await;
            }
        });
        let p2p = P2pOptions { token: Some(Secret("s3cret".into())), ..P2pOptions::default() };
        let transport = peer.transport(p2p);
        assert!(!format!("{transport:?}").contains("s3cret"));
        let client = Client::connect_over(&scope, transport, options()).await.unwrap();
        let forged = CallOptions::new().meta("ringmesh/token", "mine".into());
        client.call_tool_with("t", Value::Null, forged).await.unwrap();
        let late = CallOptions::new().timeout(Duration::from_millis(20));
        client.call_tool_with("silent", Value::Null, late).await.unwrap_err();
        peer.until("notifications/cancelled", 1).await;
        for (_, message) in peer.seen.borrow().iter() {
            let token = &message["params"]["_meta"]["ringmesh/token"];
            let expected = if message.get("id").is_some() { json!("s3cret") } else { Value::Null };
            assert_eq!(*token, expected, "{message}");
        }
    });
}
