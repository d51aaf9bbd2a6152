//! Peers that break a limit, and what it costs them.

use std::time::Duration;

use serde_json::json;

use super::{initialize, modern, modern_call, old_initialize, text, with_bench};
use crate::limits::Limit;
use crate::p2p::frame::write_frame;
use crate::runtime;

#[test]
fn an_oversized_frame_is_refused_at_its_length_and_ends_its_stream_alone() {
    with_bench(
        |limits| limits.max_p2p_frame_bytes = 4_096,
        async |bench| {
            let mut other = bench.peer();
            other.ask(&modern(1, "server/discover", json!({}))).await;
            for is_old in [true, false] {
                let mut peer = bench.peer();
                let first = if is_old { old_initialize() } else { initialize("2025-11-25", json!({})) };
                peer.ask(&first).await;
                peer.send_bytes(&4_097_u32.to_be_bytes()).await;
                let refused = peer.next().await.unwrap();
                let code = if is_old { -32003 } else { -33413 };
                assert_eq!(refused["error"]["code"], code, "{refused}");
                assert_eq!(peer.next_or_end().await, Ok(None), "the stream closes in order");
            }
            assert!(bench.hits(Limit::P2pFrameBytes));
            assert_eq!(text(&other.ask(&modern_call(2, "look", json!({}))).await), "seen");
        },
    );
}

#[test]
fn calls_in_progress_are_answered_before_a_broken_stream_ends() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.send(&modern_call(1, "nap", json!({"ms": 100}))).await;
            peer.send_bytes(&[0; 4]).await;
            let refused = peer.next().await.unwrap();
            assert_eq!((refused.get("id"), &refused["error"]["code"]), (None, &json!(-32700)));
            assert_eq!(text(&peer.next().await.unwrap()), "slept 100");
            assert_eq!(peer.next().await, None);
        },
    );
}

#[test]
fn a_slow_reader_holds_up_itself_alone() {
    with_bench(
        |limits| limits.max_stream_queue_bytes = 16 << 10,
        async |bench| {
            bench.window.set(8 << 10);
            let mut slow = bench.peer();
            for id in 0..60 {
                slow.send(&modern_call(id, "big", json!({"bytes": 4_000}))).await;
            }
            runtime::sleep(Duration::from_millis(50)).await;
            assert!(slow.end.unread() <= 8 << 10);
            let mut other = bench.peer();
            assert_eq!(text(&other.ask(&modern_call(1, "look", json!({}))).await), "seen");
            for id in 0..60 {
                assert_eq!(slow.next().await.unwrap()["id"], id);
            }
        },
    );
}

#[test]
fn events_wait_for_a_slow_reader_and_are_all_there_later() {
    with_bench(
        |limits| limits.max_stream_queue_bytes = 1 << 10,
        async |bench| {
            bench.window.set(256);
            let mut peer = bench.peer();
            for id in 0..20 {
                let more = json!({"progressToken": id});
                let params = json!({"name": "remind", "arguments": {}});
                peer.send(&super::modern_with(id, "tools/call", params, more)).await;
            }
            runtime::sleep(Duration::from_millis(50)).await;
            let (mut progress, mut answers) = (0, 0);
            while answers < 20 {
                let message = peer.next().await.unwrap();
                match message.get("method") {
                    Some(_) => progress += 1,
                    None => answers += 1,
                }
            }
            assert_eq!(progress, 40);
            assert!(bench.hits(Limit::StreamQueueBytes));
        },
    );
}

#[test]
fn who_does_not_read_in_time_is_reset() {
    with_bench(
        |limits| limits.write_timeout_ms = 100,
        async |bench| {
            bench.window.set(1 << 10);
            let mut peer = bench.peer();
            peer.send(&modern_call(1, "big", json!({"bytes": 10_000}))).await;
            runtime::sleep(Duration::from_millis(400)).await;
            assert!(peer.next_or_end().await.is_err());
            assert!(bench.hits(Limit::WriteTime));
        },
    );
}

#[test]
fn a_frame_that_is_not_finished_in_time_resets_its_stream() {
    with_bench(
        |limits| limits.p2p_request_timeout_ms = 100,
        async |bench| {
            let mut peer = bench.peer();
            for byte in [0, 0, 1, 0, b'{'] {
                peer.send_bytes(&[byte]).await;
                runtime::sleep(Duration::from_millis(50)).await;
            }
            assert!(peer.next_or_end().await.is_err());
            assert!(bench.hits(Limit::P2pRequestTime));
        },
    );
}

#[test]
fn an_idle_stream_is_closed_and_one_with_a_call_is_not() {
    with_bench(
        |limits| limits.p2p_stream_idle_timeout_ms = 200,
        async |bench| {
            let (mut idle, mut busy) = (bench.peer(), bench.peer());
            idle.ask(&modern_call(1, "look", json!({}))).await;
            busy.send(&modern_call(1, "nap", json!({"ms": 700}))).await;
            assert_eq!(idle.next_or_end().await, Ok(None), "it closes in order");
            assert!(bench.hits(Limit::P2pStreamIdleTime));
            assert_eq!(text(&busy.next().await.unwrap()), "slept 700");
        },
    );
}

#[test]
fn beyond_the_requests_of_a_stream_the_next_waits_to_be_read() {
    with_bench(
        |limits| limits.max_p2p_stream_requests = 2,
        async |bench| {
            let mut peer = bench.peer();
            for id in 0..6 {
                peer.send(&modern_call(id, "nap", json!({"ms": 30}))).await;
            }
            runtime::sleep(Duration::from_millis(10)).await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 2);
            let mut ids: Vec<i64> = Vec::new();
            for _ in 0..6 {
                ids.push(peer.next().await.unwrap()["id"].as_i64().unwrap());
            }
            ids.sort_unstable();
            assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
        },
    );
}

#[test]
fn a_tool_that_takes_too_long_is_stopped() {
    with_bench(
        |limits| limits.tool_timeout_ms = 100,
        async |bench| {
            let mut peer = bench.peer();
            let answer = peer.ask(&modern_call(1, "nap", json!({"ms": 15_000}))).await;
            assert_eq!(answer["result"]["isError"], true, "{answer}");
        },
    );
}

#[test]
fn frames_take_their_bytes_from_the_budget_of_the_process() {
    with_bench(
        |limits| limits.max_buffered_bytes = 1 << 20,
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&modern(1, "server/discover", json!({}))).await;
            let mut frame = Vec::new();
            write_frame(&mut frame, &vec![b' '; 3 << 20]);
            peer.send_bytes(&frame[..2 << 20]).await;
            let refused = peer.next().await.unwrap();
            assert_eq!(refused["error"]["code"], -33503, "{refused}");
            assert_eq!(peer.next().await, None);
            assert!(bench.hits(Limit::BufferedBytes));
            drop(peer);
            let mut other = bench.peer();
            assert_eq!(text(&other.ask(&modern_call(2, "look", json!({}))).await), "seen");
        },
    );
}
