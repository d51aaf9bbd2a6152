//! Ends: half-closed streams, peers that vanish, a server that stops.

use std::time::Duration;

use serde_json::json;

use super::{modern, modern_call, text, with_bench};
use crate::runtime;
use crate::server::roster::Phase;

#[test]
fn a_half_closed_stream_is_answered_and_closed() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.send(&modern_call(1, "nap", json!({"ms": 100}))).await;
            peer.send(&modern_call(2, "look", json!({}))).await;
            let listen =
                modern(3, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
            peer.send(&listen).await;
            peer.half_close().await;
            let mut said = Vec::new();
            while let Some(message) = peer.next_or_end().await.unwrap() {
                said.push(message);
            }
            let answers: Vec<_> = said.iter().filter_map(|message| message["id"].as_i64()).collect();
            assert_eq!(answers, [2, 3, 1], "{said:?}");
            assert!(said.iter().any(|message| message["method"] == "notifications/cancelled"));
            assert_eq!(text(said.last().unwrap()), "slept 100");
        },
    );
}

#[test]
fn calls_of_a_peer_that_vanishes_are_cancelled() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.send(&modern_call(1, "nap", json!({"ms": 15_000}))).await;
            peer.send(&modern_call(2, "task_queue.rpc", json!({"op": "hang"}))).await;
            peer.ask(&modern_call(3, "look", json!({}))).await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 2);
            drop(peer);
            runtime::sleep(Duration::from_millis(50)).await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 0);
        },
    );
}

#[test]
fn a_panic_of_ours_costs_its_stream_alone() {
    with_bench(
        |_| {},
        async |bench| {
            let mut other = bench.peer();
            other.ask(&modern_call(1, "look", json!({}))).await;
            for op in ["panic", "panic later"] {
                let mut peer = bench.peer();
                peer.send(&modern_call(1, "nap", json!({"ms": 15_000}))).await;
                peer.send(&modern_call(2, "task_queue.rpc", json!({"op": op}))).await;
                assert!(peer.next_or_end().await.is_err(), "{op}");
                runtime::sleep(Duration::from_millis(20)).await;
                assert_eq!(bench.core.metrics().requests_in_flight(), 0, "{op}");
            }
            assert_eq!(text(&other.ask(&modern_call(2, "look", json!({}))).await), "seen");
        },
    );
}

#[test]
fn a_draining_server_answers_what_it_was_asked_and_closes_the_rest() {
    with_bench(
        |_| {},
        async |bench| {
            let (mut busy, mut idle, mut listener) = (bench.peer(), bench.peer(), bench.peer());
            idle.ask(&modern_call(1, "look", json!({}))).await;
            busy.send(&modern_call(1, "nap", json!({"ms": 150}))).await;
            let listen =
                modern("l", "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
            listener.ask(&listen).await;
            runtime::sleep(Duration::from_millis(20)).await;
            bench.core.roster.advance(Phase::Draining);
            assert_eq!(listener.next().await.unwrap()["params"]["requestId"], "l");
            assert_eq!(listener.next().await.unwrap()["id"], "l");
            assert_eq!(listener.next_or_end().await, Ok(None));
            assert_eq!(text(&busy.next().await.unwrap()), "slept 150");
            assert_eq!(busy.next_or_end().await, Ok(None));
            // What came just before is answered, and then the stream closes.
            assert_eq!(text(&idle.ask(&modern_call(2, "look", json!({}))).await), "seen");
            assert_eq!(idle.next_or_end().await, Ok(None));
        },
    );
}

#[test]
fn a_closing_server_closes_quiet_streams_and_gives_up_the_rest_at_the_end() {
    with_bench(
        |_| {},
        async |bench| {
            let (mut busy, mut idle) = (bench.peer(), bench.peer());
            idle.ask(&modern_call(1, "look", json!({}))).await;
            busy.send(&modern_call(1, "nap", json!({"ms": 15_000}))).await;
            busy.send(&modern_call(2, "task_queue.rpc", json!({"op": "hang"}))).await;
            runtime::sleep(Duration::from_millis(20)).await;
            bench.core.roster.advance(Phase::Closing);
            assert_eq!(idle.next_or_end().await, Ok(None));
            bench.core.roster.advance(Phase::Cancelling);
            let mut answers = [busy.next().await.unwrap(), busy.next().await.unwrap()];
            answers.sort_by_key(|answer| answer["id"].as_i64());
            assert_eq!(answers[0]["error"]["code"], -33503, "{answers:?}");
            assert_eq!(answers[1]["result"]["isError"], true, "{answers:?}");
            assert_eq!(busy.next_or_end().await, Ok(None));
        },
    );
}
