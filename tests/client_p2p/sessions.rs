//! Peers of the revisions with sessions: the stream is the session.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ringmesh::client::p2p::P2pOptions;
use ringmesh::client::{
    Change, Client, ClientError, ElicitReply, ListenFilter, LocalBoxFuture, Revision, Root,
};
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

use super::pipe::Far;
use super::{Peer, SHORT, connect, initialized, options, run, text};

/// A peer of 2025-11-25; the script answers what does not belong to the beginning, and ends the stream with false.
fn of_2025(
    scope: &ringmesh::runtime::Scope,
    answer: impl Fn(&mut Far, Value) -> LocalBoxFuture<'_, bool> + 'static,
) -> Rc<Peer> {
    let answer = Rc::new(answer);
    Peer::new(scope, move |mut far| {
        let answer = Rc::clone(&answer);
        async move {
            while let Some(message) = far.hear().await {
                let method = message["method"].as_str().map(str::to_owned);
                match method.as_deref() {
                    Some("server/discover") => far.error(&message, -32601, "no such method").await,
                    Some("initialize") => far.result(&message, initialized("2025-11-25")).await,
                    Some("notifications/initialized") => {}
                    _ if answer(&mut far, message).await => {}
                    _ => return,
                }
            }
        }
    })
}

#[test]
fn a_session_lives_on_a_stream_of_its_own_and_ends_with_it() {
    run(|scope| async move {
        let peer = of_2025(&scope, |far, call| {
            Box::pin(async move {
                far.result(&call, text("hello")).await;
                true
            })
        });
        let transport = peer.transport(P2pOptions::default());
        let client = Client::connect_over(&scope, transport.clone(), options()).await.unwrap();
        assert_eq!(client.revision(), Revision::V2025_11_25);
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "hello");
        let seen: Vec<usize> = peer.seen.borrow().iter().map(|(stream, _)| *stream).collect();
        assert_eq!(seen, [1, 2, 2, 2], "the probe, and then the session");
        client.close().await.unwrap();
        assert_eq!(transport.open_streams(), 0);
    });
}

#[test]
fn questions_arrive_with_and_without_a_request_and_are_answered_on_the_stream() {
    run(|scope| async move {
        let peer = of_2025(&scope, |far, call| {
            Box::pin(async move {
                let ask = json!({ "jsonrpc": "2.0", "id": "q", "method": "roots/list" });
                far.say(ask).await;
                let answer = far.hear().await.unwrap();
                assert_eq!(
                    (&answer["id"], &answer["result"]["roots"][0]["uri"]),
                    (&json!("q"), &json!("file:///r"))
                );
                far.result(&call, text("asked")).await;
                true
            })
        });
        let roots = || async { Ok(vec![Root { uri: "file:///r".into(), name: None }]) };
        let with_stream = options().on_roots(roots);
        let client =
            Client::connect_over(&scope, peer.transport(P2pOptions::default()), with_stream).await.unwrap();
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "asked");
        client.close().await.unwrap();
    });
}

#[test]
fn a_question_without_a_standing_stream_reaches_the_request_in_progress() {
    run(|scope| async move {
        let peer = of_2025(&scope, |far, call| {
            Box::pin(async move {
                far.say(json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
                let answer = far.hear().await.unwrap();
                assert_eq!(answer, json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
                far.result(&call, text("alive")).await;
                true
            })
        });
        let client = connect(&peer, &scope).await;
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "alive");
    });
}

#[test]
fn elicitation_works_beside_a_call() {
    run(|scope| async move {
        let peer = of_2025(&scope, |far, call| {
            Box::pin(async move {
                let params =
                    json!({ "message": "name?", "requestedSchema": { "type": "object", "properties": {} } });
                far.say(
                    json!({ "jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": params }),
                )
                .await;
                let answer = far.hear().await.unwrap();
                let action = answer["result"]["action"].as_str().unwrap().to_owned();
                far.result(&call, text(&action)).await;
                true
            })
        });
        let options = options().on_elicit(|_| async { Ok(ElicitReply::Decline) });
        let client =
            Client::connect_over(&scope, peer.transport(P2pOptions::default()), options).await.unwrap();
        assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "decline");
    });
}

#[test]
fn changes_arrive_on_the_stream_and_another_one_is_opened_when_it_is_lost() {
    run(|scope| async move {
        let peer = of_2025(&scope, |far, call| {
            Box::pin(async move {
                far.note("tools/list_changed", json!({})).await;
                far.result(&call, text("changed")).await;
                far.number > 2
            })
        });
        let client = connect(&peer, &scope).await;
        let mut changes = client.listen(ListenFilter::default().tools()).await.unwrap();
        assert!(changes.is_live());
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
        assert_eq!(changes.next().await, Some(Ok(Change::Reconnected)), "the peer ended the stream");
        assert_eq!(peer.sent("initialize").len(), 2);
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
    });
}

#[test]
fn a_lost_session_is_begun_anew_once() {
    run(|scope| async move {
        let peer = of_2025(&scope, |far, call| {
            Box::pin(async move {
                far.result(&call, text("once")).await;
                false
            })
        });
        let client = connect(&peer, &scope).await;
        for expected in 1..=3 {
            assert_eq!(client.call_tool("t", Value::Null).await.unwrap().text(), "once");
            assert_eq!(peer.sent("initialize").len(), expected);
            sleep(SHORT).await;
        }
    });
}

#[test]
fn a_call_whose_session_breaks_while_it_runs_is_not_repeated() {
    run(|scope| async move {
        let calls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&calls);
        let peer = of_2025(&scope, move |_, _| {
            counted.set(counted.get() + 1);
            Box::pin(async { false })
        });
        let client = connect(&peer, &scope).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(matches!(&error, ClientError::Transport { .. }), "{error}");
        assert!(error.to_string().contains("closed before an answer"), "{error}");
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn an_abandoned_call_of_a_session_is_cancelled_and_the_session_stays() {
    run(|scope| async move {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let known = Rc::clone(&seen);
        let peer = of_2025(&scope, move |far, message| {
            known.borrow_mut().push(message["method"].as_str().unwrap_or_default().to_owned());
            Box::pin(async move {
                if message["params"]["name"] == "quick" {
                    far.result(&message, text("ok")).await;
                }
                true
            })
        });
        let client = connect(&peer, &scope).await;
        let slow = ringmesh::client::CallOptions::new().timeout(SHORT);
        client.call_tool_with("slow", Value::Null, slow).await.unwrap_err();
        peer.until("notifications/cancelled", 1).await;
        client.call_tool("quick", Value::Null).await.unwrap();
        assert_eq!(*seen.borrow(), ["tools/call", "notifications/cancelled", "tools/call"]);
        assert_eq!(peer.sent("initialize").len(), 1);
    });
}
