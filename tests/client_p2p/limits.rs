//! What a peer can make the client hold, and for how long it can make it wait.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::{or, zip};
use ringmesh::client::p2p::P2pOptions;
use ringmesh::client::{
    CallOptions, Client, ClientError, Event, IncomingContent, Outgoing, OutgoingHead, Transport,
    TransportError, Verb,
};
use ringmesh::runtime::{Scope, sleep};
use serde_json::{Value, json};

use super::{Peer, SHORT, connect, note, options, reply, run, text};

fn transport(error: ClientError) -> TransportError {
    match error {
        ClientError::Transport { error, .. } => error,
        other => panic!("{other}"),
    }
}

/// A request outside of any client.
fn post(id: u32, timeout: Duration) -> Outgoing {
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {} }).to_string();
    Outgoing {
        verb: Verb::Post,
        body: body.into_bytes(),
        head: OutgoingHead::default(),
        timeout,
        idle_timeout: None,
        idempotent: false,
    }
}

/// A peer that says nothing.
fn silent(scope: &Scope) -> Rc<Peer> {
    Peer::new(scope, |mut far| async move { while far.hear().await.is_some() {} })
}

async fn connect_with(peer: &Rc<Peer>, scope: &Scope, p2p: P2pOptions) -> Client {
    Client::connect_over(scope, peer.transport(p2p), options()).await.unwrap()
}

#[test]
fn a_message_over_the_limit_ends_its_stream_and_says_the_limit() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, call| async move {
            let size = if call["params"]["name"] == "large" { 5_000 } else { 10 };
            reply(&far, &call, text(&"x".repeat(size))).await;
        });
        let p2p = P2pOptions { max_frame_bytes: 4_096, ..P2pOptions::default() };
        let client = connect_with(&peer, &scope, p2p).await;
        let error = transport(client.call_tool("large", Value::Null).await.unwrap_err());
        assert_eq!(error, TransportError::TooLarge { limit: "max_frame_bytes", max: 4_096 });
        assert_eq!(client.call_tool("small", Value::Null).await.unwrap().text().len(), 10);
        assert_eq!(peer.opened.get(), 2);
    });
}

#[test]
fn a_message_that_is_none_ends_its_stream_and_says_what_is_wrong() {
    for (frame, expected) in [
        (&b""[..], "no bytes"),
        (b"garbage", "no JSON-RPC"),
        (b"[]", "JSON array"),
        (br#"{"id":null,"error":{"code":-32003,"message":"invalid_frame"}}"#, "invalid_frame (code -32003)"),
    ] {
        run(move |scope| async move {
            let peer = Peer::new(&scope, move |mut far| async move {
                far.hear().await;
                far.bytes(frame).await;
                far.hear().await;
            });
            let transport = peer.transport(P2pOptions::default());
            let error = transport.exchange(post(1, Duration::from_secs(5))).await.unwrap_err();
            assert!(matches!(&error, TransportError::Malformed(why) if why.contains(expected)), "{error}");
            assert_eq!(transport.open_streams(), 0);
        });
    }
}

#[test]
fn another_stream_is_opened_for_more_requests_and_then_they_wait() {
    run(|scope| async move {
        let peer = silent(&scope);
        let p2p = P2pOptions { max_streams: 2, max_stream_requests: 2, ..P2pOptions::default() };
        let transport = peer.transport(p2p);
        let timeout = Duration::from_millis(100);
        let asks: Vec<_> = (0..5).map(|id| transport.exchange(post(id, timeout))).collect();
        let mut errors = Vec::new();
        let mut all = asks.into_iter();
        let (a, b, c, d, e) = (
            all.next().unwrap(),
            all.next().unwrap(),
            all.next().unwrap(),
            all.next().unwrap(),
            all.next().unwrap(),
        );
        let ((a, b), ((c, d), e)) = zip(zip(a, b), zip(zip(c, d), e)).await;
        for outcome in [a, b, c, d, e] {
            errors.push(outcome.unwrap_err());
        }
        assert_eq!(errors[4], TransportError::Busy { max: 2 });
        assert!(
            errors[..4].iter().all(|error| matches!(error, TransportError::Timeout { .. })),
            "{errors:?}"
        );
        let streams: Vec<usize> = peer.seen.borrow().iter().map(|(stream, _)| *stream).collect();
        assert_eq!(streams.iter().filter(|stream| **stream == 2).count(), 2, "{streams:?}");
        assert_eq!(peer.opened.get(), 2);
    });
}

#[test]
fn a_request_that_waits_gets_the_place_of_one_that_was_answered() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, call| async move {
            sleep(Duration::from_millis(5)).await;
            reply(&far, &call, text("ok")).await;
        });
        let p2p = P2pOptions { max_streams: 1, max_stream_requests: 1, ..P2pOptions::default() };
        let client = connect_with(&peer, &scope, p2p).await;
        let call = || async { client.call_tool("t", Value::Null).await.unwrap() };
        zip(zip(call(), call()), zip(call(), call())).await;
        assert_eq!(peer.opened.get(), 1);
    });
}

#[test]
fn who_does_not_read_fails_alone() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            while let Some(call) = far.hear().await {
                let id = &call["id"];
                if *id == 1 {
                    for step in 0..40 {
                        if step % 10 == 1 {
                            sleep(Duration::from_millis(2)).await;
                        }
                        let data = "x".repeat(1_000);
                        far.note(
                            "progress",
                            json!({ "progressToken": id, "progress": step, "message": data }),
                        )
                        .await;
                    }
                } else {
                    far.result(&call, text("beside")).await;
                }
            }
        });
        let p2p = P2pOptions { max_waiting_bytes: 16 << 10, ..P2pOptions::default() };
        let transport = peer.transport(p2p);
        let patience = Duration::from_secs(5);
        let slow = transport.exchange(post(1, patience)).await.unwrap();
        let IncomingContent::Events(mut events) = slow.content else { panic!("a single answer") };
        for id in 2..20 {
            let answer = transport.exchange(post(id, patience)).await.unwrap();
            assert!(matches!(answer.content, IncomingContent::Body { .. }));
            sleep(Duration::from_millis(1)).await;
        }
        let mut last: Result<Event, _> = events.next().await.unwrap();
        while last.is_ok() {
            last = events.next().await.unwrap();
        }
        assert_eq!(last.unwrap_err(), TransportError::TooLarge { limit: "max_waiting_bytes", max: 16 << 10 });
        assert!(events.next().await.is_none());
        assert_eq!(peer.opened.get(), 1, "the stream stays for others");
    });
}

#[test]
fn a_peer_that_reads_nothing_loses_the_stream() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |far| async move {
            let _far = far;
            sleep(Duration::from_secs(60)).await;
        });
        let p2p = P2pOptions { write_timeout: SHORT, ..P2pOptions::default() };
        let transport = peer.transport(p2p);
        let mut large = post(1, Duration::from_secs(5));
        large.body.extend(vec![b' '; 100_000]);
        let error = transport.exchange(large).await.unwrap_err();
        assert_eq!(error, TransportError::Timeout { what: "the peer reads nothing" });
        assert_eq!(transport.open_streams(), 0);
    });
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_message_loses_the_stream() {
    run(|scope| async move {
        let peer = Peer::new(&scope, |mut far| async move {
            far.hear().await;
            futures_lite::AsyncWriteExt::write_all(&mut far.end, b"\0\0\0\x09{").await.unwrap();
            far.hear().await;
        });
        let p2p = P2pOptions { frame_timeout: SHORT, ..P2pOptions::default() };
        let error = peer.transport(p2p).exchange(post(1, Duration::from_secs(5))).await.unwrap_err();
        assert_eq!(error, TransportError::Timeout { what: "the rest of a message" });
    });
}

#[test]
fn a_stream_without_requests_is_closed_after_a_while() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, call| async move { reply(&far, &call, text("ok")).await });
        let p2p = P2pOptions { idle_timeout: SHORT, ..P2pOptions::default() };
        let transport = peer.transport(p2p);
        let client = Client::connect_over(&scope, transport.clone(), options()).await.unwrap();
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!((transport.open_streams(), peer.opened.get()), (1, 1));
        while transport.open_streams() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(peer.opened.get(), 2);
    });
}

#[test]
fn events_that_do_not_come_are_waited_for_as_long_as_was_said() {
    run(|scope| async move {
        let peer = Peer::modern(&scope, |far, call| async move {
            note(&far, "progress", json!({ "progressToken": call["id"], "progress": 1 })).await;
        });
        let transport = peer.transport(P2pOptions::default());
        let asked = Outgoing { idle_timeout: Some(SHORT), ..post(1, Duration::from_secs(5)) };
        let answer = transport.exchange(asked).await.unwrap();
        let IncomingContent::Events(mut events) = answer.content else { panic!("a single answer") };
        assert!(events.next().await.unwrap().is_ok());
        let late = events.next().await.unwrap().unwrap_err();
        assert_eq!(late, TransportError::Timeout { what: "the next message" });
    });
}

#[test]
fn an_id_cannot_be_used_twice_at_once() {
    run(|scope| async move {
        let peer = silent(&scope);
        let transport = peer.transport(P2pOptions::default());
        let first = async { transport.exchange(post(7, SHORT * 10)).await.unwrap_err() };
        let second = async {
            sleep(SHORT).await;
            transport.exchange(post(7, SHORT * 10)).await.unwrap_err()
        };
        let error = or(
            async {
                drop(first.await);
                None
            },
            async { Some(second.await) },
        )
        .await
        .unwrap();
        assert!(matches!(&error, TransportError::Unsupported(why) if why.contains("id 7")), "{error}");
    });
}

#[test]
fn opening_takes_no_longer_than_it_may() {
    run(|scope| async move {
        let peer = silent(&scope);
        *peer.refuse.borrow_mut() = Some(TransportError::Connect("refused".into()));
        let mut options = options();
        options.retries = ringmesh::client::RetryPolicy::none();
        let transport = peer.transport(P2pOptions::default());
        let error = Client::connect_over(&scope, transport, options).await.unwrap_err();
        assert!(
            error.to_string().contains("/memory/peer") && error.to_string().contains("refused"),
            "{error}"
        );
        let client = Peer::modern(&scope, |_, _| async {});
        let client = connect(&client, &scope).await;
        let soon = CallOptions::new().timeout(SHORT);
        assert!(matches!(
            client.call_tool_with("t", Value::Null, soon).await,
            Err(ClientError::Timeout { .. })
        ));
    });
}
