//! Streams that have as many requests in progress as they may.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bench, Peer, call, initialize, modern_call, old_initialize, text, with_bench};
use crate::runtime;

fn cancel(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.into()}})
}

/// Waits until so many requests are in progress.
async fn until_in_flight(bench: &Bench, count: u64) {
    let begun = Instant::now();
    while bench.core.metrics().requests_in_flight() != count {
        assert!(begun.elapsed() < Duration::from_secs(5), "{}", bench.core.metrics().requests_in_flight());
        runtime::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_reset_cancels_the_request_of_an_old_peer() {
    with_bench(
        |_| {},
        async |bench| {
            for ahead in 0..3 {
                let mut peer = bench.peer();
                peer.ask(&old_initialize()).await;
                peer.send(&call(1, "nap", json!({"ms": 15_000}))).await;
                until_in_flight(&bench, 1).await;
                for _ in 0..ahead {
                    peer.send(&call(1, "nap", json!({"ms": 15_000}))).await;
                }
                drop(peer);
                until_in_flight(&bench, 0).await;
            }
        },
    );
}

#[test]
fn a_reset_cancels_the_requests_of_a_stream_that_is_full() {
    with_bench(
        |limits| limits.max_p2p_stream_requests = 2,
        async |bench| {
            let mut peer = bench.peer();
            for id in 0..4 {
                peer.send(&modern_call(id, "nap", json!({"ms": 15_000}))).await;
            }
            until_in_flight(&bench, 2).await;
            drop(peer);
            until_in_flight(&bench, 0).await;
        },
    );
}

#[test]
fn answers_to_questions_are_read_where_no_request_has_room() {
    with_bench(
        |limits| limits.max_p2p_stream_requests = 1,
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&initialize("2025-11-25", json!({"elicitation": {}}))).await;
            peer.send(&call(1, "ask", json!({}))).await;
            peer.send(&call(2, "look", json!({}))).await;
            let question = peer.next().await.unwrap();
            assert_eq!(question["method"], "elicitation/create");
            let result = json!({"action": "accept", "content": {"name": "Ada"}});
            peer.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result})).await;
            let answers = [peer.next().await.unwrap(), peer.next().await.unwrap()];
            assert_eq!(answers.each_ref().map(text), ["hello Ada", "seen"]);
        },
    );
}

#[test]
fn cancellations_are_read_where_no_request_has_room() {
    with_bench(
        |limits| limits.max_p2p_stream_requests = 1,
        async |bench| {
            let mut peer = bench.peer();
            peer.send(&modern_call(1, "nap", json!({"ms": 15_000}))).await;
            peer.send(&modern_call(2, "nap", json!({"ms": 15_000}))).await;
            peer.send(&modern_call(3, "look", json!({}))).await;
            // The second waits for its turn, and never gets it.
            peer.send(&cancel(2)).await;
            peer.send(&cancel(1)).await;
            let answer = peer.next().await.unwrap();
            assert_eq!((&answer["id"], text(&answer)), (&json!(3), "seen"));
            peer.assert_quiet().await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 0);
        },
    );
}

#[test]
fn what_waits_is_served_in_order_after_the_peer_has_closed_its_side() {
    with_bench(
        |limits| limits.max_p2p_stream_requests = 1,
        async |bench| {
            let ids = async |mut peer: Peer, old: bool| {
                for id in 1..=4 {
                    let ms = json!({"ms": 20});
                    let request = if old { call(id, "nap", ms) } else { modern_call(id, "nap", ms) };
                    peer.send(&request).await;
                }
                peer.half_close().await;
                let mut ids = Vec::new();
                while let Ok(Some(answer)) = peer.next_or_end().await {
                    ids.push(answer["id"].as_i64().unwrap());
                }
                ids
            };
            assert_eq!(ids(bench.peer(), false).await, [1, 2, 3, 4]);
            let mut old = bench.peer();
            old.ask(&old_initialize()).await;
            assert_eq!(ids(old, true).await, [1, 2, 3, 4]);
        },
    );
}

#[test]
fn what_cannot_be_read_ends_an_old_peers_stream_after_what_came_before() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&old_initialize()).await;
            peer.send(&call(1, "nap", json!({"ms": 50}))).await;
            peer.send(&call(2, "look", json!({}))).await;
            peer.send_bytes(&[0; 4]).await;
            peer.send(&call(3, "look", json!({}))).await;
            let answers = [peer.next().await.unwrap(), peer.next().await.unwrap()];
            assert_eq!(answers.each_ref().map(text), ["slept 50", "seen"]);
            assert_eq!(peer.next().await.unwrap()["error"]["message"], "invalid_json");
            assert_eq!(peer.next_or_end().await, Ok(None));
        },
    );
}

#[test]
fn what_waits_is_bounded_and_nothing_of_it_is_lost() {
    with_bench(
        |limits| limits.max_p2p_stream_requests = 1,
        async |bench| {
            bench.window.set(256 << 10);
            let mut peer = bench.peer();
            peer.send(&modern_call(0, "nap", json!({"ms": 100}))).await;
            let message = "x".repeat(60_000);
            for id in 1..8 {
                peer.send(&modern_call(id, "echo", json!({"message": message}))).await;
            }
            runtime::sleep(Duration::from_millis(30)).await;
            assert!(peer.end.unread_there() >= 200_000, "{}", peer.end.unread_there());
            for id in 0..8 {
                assert_eq!(peer.next().await.unwrap()["id"], id);
            }
        },
    );
}
