//! Peers of the revisions from 2025-03-26 to 2025-11-25: the stream is the session.

use serde_json::{Value, json};

use super::{call, initialize, modern, text, with_bench};
use crate::mcp::Access;

#[test]
fn a_stream_has_the_session_that_initialize_opens_and_ends_it() {
    with_bench(
        |_| {},
        async |bench| {
            for (wanted, served) in [
                ("2025-03-26", "2025-03-26"),
                ("2025-06-18", "2025-06-18"),
                ("2025-11-25", "2025-11-25"),
                ("2026-07-28", "2025-11-25"),
                ("1.0", "2025-11-25"),
            ] {
                let mut peer = bench.peer();
                let opened = peer.ask(&initialize(wanted, json!({}))).await;
                assert_eq!(opened["result"]["protocolVersion"], served);
                assert!(opened["result"].get("limits").is_none(), "{opened}");
                assert_eq!(bench.core.dispatcher.sessions(), 1);
                assert_eq!(text(&peer.ask(&call(1, "look", json!({}))).await), "seen");
                let twice = peer.ask(&initialize(wanted, json!({}))).await;
                assert_eq!(twice["error"]["code"], -32600);
                assert_eq!(
                    peer.ask(&json!({"jsonrpc": "2.0", "id": 2, "method": "ping"})).await["result"],
                    json!({})
                );
                peer.half_close().await;
                assert_eq!(peer.next().await, None);
                assert_eq!(bench.core.dispatcher.sessions(), 0);
            }
        },
    );
}

#[test]
fn a_client_that_probes_falls_back_on_the_same_stream() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            assert!(peer.ask(&modern(1, "server/discover", json!({}))).await["result"].is_object());
            peer.ask(&initialize("2025-06-18", json!({}))).await;
            assert_eq!(text(&peer.ask(&call(2, "look", json!({}))).await), "seen");
        },
    );
}

#[test]
fn the_server_asks_on_the_stream_and_the_answer_comes_on_it() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&initialize("2025-11-25", json!({"elicitation": {}}))).await;
            peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
            peer.send(&call(1, "ask", json!({}))).await;
            peer.send(&call(2, "ask", json!({}))).await;
            let questions = [peer.next().await.unwrap(), peer.next().await.unwrap()];
            for (question, name) in questions.iter().zip(["Ada", "Bob"]) {
                assert_eq!(question["method"], "elicitation/create", "{question}");
                let result = json!({"action": "accept", "content": {"name": name}});
                peer.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result})).await;
            }
            let mut answers = [peer.next().await.unwrap(), peer.next().await.unwrap()];
            answers.sort_by_key(|answer| answer["id"].as_i64());
            assert_eq!(answers.each_ref().map(text), ["hello Ada", "hello Bob"]);
        },
    );
}

#[test]
fn what_belongs_to_no_call_comes_once_the_peer_has_gone_on() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&initialize("2025-11-25", json!({}))).await;
            let handle = bench.core.dispatcher.registry_handle();
            handle.tools_changed();
            peer.assert_quiet().await;
            peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
            peer.assert_quiet().await;
            handle.tools_changed();
            assert_eq!(peer.next().await.unwrap()["method"], "notifications/tools/list_changed");
            let more = json!({"progressToken": 5});
            let mut request = call(1, "remind", json!({}));
            request["params"]["_meta"] = more;
            let progress = peer.ask(&request).await;
            assert_eq!(progress["params"]["progressToken"], 5, "{progress}");
        },
    );
}

#[test]
fn a_cancelled_call_of_a_session_is_not_answered() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&initialize("2025-06-18", json!({}))).await;
            peer.send(&call("x", "nap", json!({"ms": 15_000}))).await;
            peer.ask(&call(2, "look", json!({}))).await;
            let params = json!({"requestId": "x", "reason": "no"});
            peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
                .await;
            peer.assert_quiet().await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 0);
        },
    );
}

#[test]
fn batches_are_answered_in_sessions_that_have_them() {
    with_bench(
        |_| {},
        async |bench| {
            for (version, has_batches) in [("2025-03-26", true), ("2025-06-18", false)] {
                let mut peer = bench.peer();
                peer.ask(&initialize(version, json!({}))).await;
                let batch = Value::Array(vec![
                    call(1, "look", json!({})),
                    json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
                    call(2, "nap", json!({"ms": 5})),
                ]);
                let answer = peer.ask(&batch).await;
                if has_batches {
                    let ids = answer.as_array().unwrap().iter().map(|answer| answer["id"].as_i64());
                    assert!(ids.eq([Some(1), Some(2)]), "{answer}");
                } else {
                    assert_eq!(answer["error"]["code"], -32600, "{answer}");
                }
            }
        },
    );
}

#[test]
fn each_message_of_a_batch_may_do_what_its_own_token_allows() {
    with_bench(
        |_| {},
        async |bench| {
            bench.gate.access.set(Access::ReadOnly);
            let mut peer = bench.peer();
            peer.ask(&initialize("2025-03-26", json!({}))).await;
            let with_token = |id: u32, token: &str| {
                let mut message = call(id, "nap", json!({"ms": 1}));
                message["params"]["_meta"] = json!({"ringmesh/token": token});
                message
            };
            let batch = json!([
                with_token(1, "guess"),
                with_token(2, "secret"),
                call(3, "nap", json!({"ms": 1})),
                call(4, "look", json!({})),
            ]);
            let answers = peer.ask(&batch).await;
            assert_eq!(answers[0]["error"]["code"], -33403, "{answers}");
            assert_eq!(text(&answers[1]), "slept 1");
            assert_eq!(answers[2]["error"]["code"], -33403, "a token is worth nothing to its neighbours");
            assert_eq!(text(&answers[3]), "seen");
        },
    );
}

#[test]
fn a_request_of_a_batch_can_be_cancelled() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&initialize("2025-03-26", json!({}))).await;
            peer.send(&json!([call(1, "nap", json!({"ms": 60_000})), call(2, "look", json!({}))])).await;
            let cancel = json!({"requestId": 1});
            peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}))
                .await;
            let answers = peer.next().await.unwrap();
            assert_eq!(answers[answers.as_array().unwrap().len() - 1]["id"], 2, "{answers}");
        },
    );
}
