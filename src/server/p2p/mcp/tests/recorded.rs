//! What old peers said to the nodes that exist, and what these answered: every case is replayed, and what differs on
//! purpose is named here and in docs/p2p.md.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Bench, call, old_initialize, with_bench};
use crate::p2p::frame::write_frame;

const CASES: &str = include_str!("../../../../../tests/vectors/mcp_p2p.jsonl");

/// Where the answer is another one on purpose: the case, which answer, and what it is.
fn differences() -> Vec<(&'static str, usize, Value)> {
    let method_not_found = json!({"code": -32601, "message": "method_not_found"});
    vec![
        // It is served.
        ("init/then_ping", 1, json!({"jsonrpc": "2.0", "id": 2, "result": {}})),
        // Nothing of an argument's name reaches the program.
        ("call/rpc_self_arg", 1, json!({"jsonrpc": "2.0", "id": 2, "result": {"content": {"ok": true}}})),
        // Profiles that are not served have no methods.
        ("risk/not_negotiated", 1, json!({"jsonrpc": "2.0", "id": 2, "error": method_not_found})),
    ]
}

fn bytes(sent: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in sent {
        match message["raw_b64"].as_str() {
            Some(raw) => out.extend(STANDARD.decode(raw).unwrap()),
            None => write_frame(&mut out, message.to_string().as_bytes()),
        }
    }
    out
}

async fn replay(bench: &Bench, case: &Value) {
    let name = case["case"].as_str().unwrap();
    // A revision that is not one of the old peers' opens a session of a later one; see the tests of these.
    if name == "init/version_2026" {
        return;
    }
    let mut peer = bench.peer();
    peer.send_bytes(&bytes(case["sent"].as_array().unwrap())).await;
    let ends = case["end"] == "eof";
    if !ends || case["half_close"] == true {
        // A stream that was left open then is ended by its peer now, and nothing more may come before its end.
        let _ = futures_lite::AsyncWriteExt::close(&mut peer.end).await;
    }
    let differences = differences();
    for (index, expected) in case["answers"].as_array().unwrap().iter().enumerate() {
        let answer = peer.next().await.unwrap_or_else(|| panic!("{name}: answer {index} is missing"));
        let other = differences.iter().find(|(case, at, _)| *case == name && *at == index);
        compare(name, &answer, other.map_or(expected, |(_, _, other)| other));
    }
    assert_eq!(peer.next().await, None, "{name}: one frame for each request, and no more");
}

fn compare(name: &str, answer: &Value, expected: &Value) {
    assert_eq!(answer["id"], expected["id"], "{name}: {answer}");
    if let Some(error) = expected.get("error") {
        assert_eq!(answer["error"]["code"], error["code"], "{name}: {answer}");
        return assert_eq!(answer["error"]["message"], error["message"], "{name}: {answer}");
    }
    let result = &answer["result"];
    if let Some(initialize) = expected.get("initialize") {
        for member in initialize["members"].as_array().unwrap() {
            assert!(result.get(member.as_str().unwrap()).is_some(), "{name}: {member} in {answer}");
        }
        for limit in initialize["limits"].as_array().unwrap() {
            assert!(result["limits"][limit.as_str().unwrap()].is_number(), "{name}: {limit} in {answer}");
        }
        for member in ["ok", "protocolVersion", "transport"] {
            assert_eq!(result[member], initialize[member], "{name}: {answer}");
        }
        return;
    }
    if expected["result"].get("tools").is_some() {
        return assert!(result["tools"].is_array(), "{name}: {answer}");
    }
    let (content, other) = (&result["content"], &expected["result"]["content"]);
    assert_eq!(content.is_object(), other.is_object(), "{name}: {answer}");
    if other["error"] != json!(null) {
        assert_eq!((&content["ok"], &content["error"]), (&other["ok"], &other["error"]), "{name}: {answer}");
    }
}

#[test]
fn every_recorded_case_is_answered_as_it_was() {
    with_bench(
        |limits| limits.max_p2p_frame_bytes = 1 << 20,
        async |bench| {
            let mut count = 0;
            for line in CASES.lines() {
                replay(&bench, &serde_json::from_str(line).unwrap()).await;
                count += 1;
            }
            assert!(count > 55, "{count} cases");
        },
    );
}

#[test]
fn the_rate_limit_of_old_peers_ends_the_stream_at_the_request_beyond_it() {
    with_bench(
        |_| {},
        async |bench| {
            bench.gate.left.set(128);
            let mut peer = bench.peer();
            peer.send(&old_initialize()).await;
            for id in 2..=131 {
                peer.send(&json!({"jsonrpc": "2.0", "id": id, "method": "nope"})).await;
            }
            assert_eq!(peer.next().await.unwrap()["result"]["ok"], true);
            for id in 2..=128 {
                assert_eq!(peer.next().await.unwrap()["id"], id);
            }
            let last = peer.next().await.unwrap();
            assert_eq!((&last["id"], &last["error"]["code"]), (&json!(129), &json!(-32010)));
            assert_eq!(last["error"]["message"], "rate_limited");
            assert_eq!(peer.next().await, None);
        },
    );
}

#[test]
fn a_large_frame_is_served_and_a_large_answer_refused() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&old_initialize()).await;
            let padded = call(2, "task_queue.rpc", json!({"op": "status", "pad": "a".repeat(900_000)}));
            assert_eq!(peer.ask(&padded).await["result"]["content"]["ok"], true);
            for tool in
                [call(3, "big", json!({"bytes": 1 << 20})), call(3, "task_queue.rpc", json!({"op": "big"}))]
            {
                let answer = peer.ask(&tool).await;
                assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(3), &json!(-33413)));
                assert!(answer["error"]["message"].as_str().unwrap().contains("1048572"), "{answer}");
            }
            let fits = peer.ask(&call(4, "big", json!({"bytes": 1_000_000}))).await;
            assert_eq!(super::text(&fits).len(), 1_000_000);
        },
    );
}

#[test]
fn old_peers_get_answers_in_order_and_nothing_else() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.send(&old_initialize()).await;
            peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
            peer.send(&call(1, "nap", json!({"ms": 60}))).await;
            peer.send(&call(1, "remind", json!({}))).await;
            peer.send(
                &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
            )
            .await;
            peer.send(&call(1, "ask", json!({}))).await;
            peer.send(&call("s", "echo", json!({"message": "hi"}))).await;
            assert_eq!(peer.next().await.unwrap()["result"]["ok"], true);
            assert_eq!(super::text(&peer.next().await.unwrap()), "slept 60");
            assert_eq!(super::text(&peer.next().await.unwrap()), "done");
            // It is never asked, so a tool that has to fails.
            let asked = peer.next().await.unwrap();
            assert_eq!((&asked["id"], &asked["error"]["code"]), (&json!(1), &json!(-32602)), "{asked}");
            let echoed = peer.next().await.unwrap();
            assert_eq!((&echoed["id"], super::text(&echoed)), (&json!("s"), "hi"));
            bench.core.dispatcher.registry_handle().tools_changed();
            peer.assert_quiet().await;
        },
    );
}

#[test]
fn requests_to_the_task_queue_arrive_unwrapped_and_notifications_do_not() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.ask(&old_initialize()).await;
            for arguments in
                [json!({"op": "status", "token": "t"}), json!({"message": {"op": "status"}}), json!([1])]
            {
                peer.ask(&call(2, "task_queue.rpc", arguments)).await;
            }
            let params = json!({"name": "task_queue.rpc", "arguments": {"op": "status"}});
            peer.send(&json!({"jsonrpc": "2.0", "method": "tools/call", "params": params})).await;
            peer.assert_quiet().await;
            let asked = [r#"{"op":"status","token":"t"}"#, r#"{"op":"status"}"#, "{}"];
            assert_eq!(*bench.asked.borrow(), asked);
        },
    );
}

#[test]
fn lists_that_are_longer_than_a_frame_have_pages() {
    let mut registry = super::registry();
    for index in 0..30 {
        let description = "d".repeat(60_000);
        registry = registry.tool(format!("tool{index}"), description, super::remind);
    }
    let server = crate::server::Server::new(crate::config::ServerConfig::default()).registry(registry);
    super::with_server(server, async |bench| {
        let mut peer = bench.peer();
        peer.ask(&old_initialize()).await;
        let (mut cursor, mut names) = (json!(null), 0);
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let page = json!({"jsonrpc": "2.0", "id": 2, "method": "tools.list", "params": params});
            let answer = peer.ask(&page).await;
            names += answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).len();
            cursor = answer["result"]["nextCursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(names, 35);
    });
}
