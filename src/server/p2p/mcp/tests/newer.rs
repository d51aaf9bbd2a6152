//! Peers of 2026-07-28: each request stands for itself, many at a time.

use serde_json::{Value, json};

use super::{initialize, modern, modern_call, modern_with, text, with_bench, with_server};
use crate::config::ServerConfig;
use crate::limits::Limit;
use crate::mcp::{Access, Registry, Resource};
use crate::server::Server;

#[test]
fn a_hundred_calls_run_side_by_side_and_end_in_any_order() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            for id in 0..100 {
                peer.send(&modern_call(id, "nap", json!({"ms": 200 - 2 * id}))).await;
            }
            peer.send(&modern_call("now", "echo", json!({"message": "hi"}))).await;
            let begun = std::time::Instant::now();
            let first = peer.next().await.unwrap();
            assert_eq!((&first["id"], text(&first)), (&json!("now"), "hi"), "what is ready does not wait");
            let mut ids: Vec<i64> = Vec::new();
            for _ in 0..100 {
                let answer = peer.next().await.unwrap();
                let id = answer["id"].as_i64().unwrap();
                assert_eq!(text(&answer), format!("slept {}", 200 - 2 * id));
                ids.push(id);
            }
            assert!(begun.elapsed().as_secs() < 5, "they did not run one after the other");
            assert!(!ids.is_sorted());
            ids.sort_unstable();
            assert!(ids.into_iter().eq(0..100));
        },
    );
}

#[test]
fn progress_and_log_messages_come_before_the_answer_of_their_call() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            let more = json!({"progressToken": "p", "io.modelcontextprotocol/logLevel": "info"});
            peer.send(&modern_with(1, "tools/call", json!({"name": "remind", "arguments": {}}), more)).await;
            let mut methods = Vec::new();
            let answer = loop {
                let message = peer.next().await.unwrap();
                match message["method"].as_str() {
                    Some(method) => methods.push(method.to_owned()),
                    None => break message,
                }
            };
            assert_eq!(
                methods,
                ["notifications/progress", "notifications/message", "notifications/progress"]
            );
            assert_eq!(text(&answer), "done");
        },
    );
}

#[test]
fn a_cancelled_call_stops_and_is_not_answered() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            peer.send(&modern_call("a\u{e9}", "nap", json!({"ms": 15_000}))).await;
            peer.send(&modern_call(2, "nap", json!({"ms": 15_000}))).await;
            peer.ask(&modern_call(3, "echo", json!({"message": "x"}))).await;
            let cancel = |id: Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            peer.send(&cancel(json!("a\u{e9}"))).await;
            peer.send(&cancel(json!(99))).await;
            peer.assert_quiet().await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 1, "the other call goes on");
            peer.send(&cancel(json!(2))).await;
            peer.assert_quiet().await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 0);
        },
    );
}

#[test]
fn subscriptions_share_the_stream_under_their_ids() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            let listen = |id: Value| {
                modern(id, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))
            };
            let subscription = |message: &Value| {
                message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone()
            };
            for id in [json!(1), json!("1")] {
                let acknowledged = peer.ask(&listen(id.clone())).await;
                assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
                assert_eq!(subscription(&acknowledged), id);
            }
            let handle = bench.core.dispatcher.registry_handle();
            handle.tools_changed();
            let told = [peer.next().await.unwrap(), peer.next().await.unwrap()];
            assert!(told.iter().all(|message| message["method"] == "notifications/tools/list_changed"));
            let mut ids = told.map(|message| subscription(&message).to_string());
            ids.sort();
            assert_eq!(ids, ["\"1\"", "1"]);
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
            peer.send(&cancel).await;
            peer.ask(&modern_call(3, "echo", json!({"message": "x"}))).await;
            handle.tools_changed();
            assert_eq!(subscription(&peer.next().await.unwrap()), "1");
            peer.assert_quiet().await;
        },
    );
}

#[test]
fn questions_are_results_and_the_answers_come_with_the_next_round() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            let capable = json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
            let params = json!({"name": "ask", "arguments": {}});
            let asked = peer.ask(&modern_with(1, "tools/call", params.clone(), capable.clone())).await;
            assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
            let mut again = params;
            again["requestState"] = asked["result"]["requestState"].clone();
            again["inputResponses"] = json!({"name": {"action": "accept", "content": {"name": "Ada"}}});
            let answer = peer.ask(&modern_with(2, "tools/call", again, capable)).await;
            assert_eq!(text(&answer), "hello Ada");
        },
    );
}

#[test]
fn bad_messages_are_answered_and_the_stream_goes_on() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            let discovered = peer.ask(&modern(1, "server/discover", json!({}))).await;
            assert!(discovered["result"]["supportedVersions"].is_array(), "{discovered}");
            let mut bytes = Vec::new();
            for body in ["{nope", "5", r#"[{"jsonrpc":"2.0"}]"#, r#"{"jsonrpc":"1.0","id":7,"method":"x"}"#] {
                crate::p2p::frame::write_frame(&mut bytes, body.as_bytes());
            }
            peer.send_bytes(&bytes).await;
            let mut codes = Vec::new();
            for _ in 0..4 {
                let answer = peer.next().await.unwrap();
                codes.push((answer.get("id").cloned(), answer["error"]["code"].as_i64().unwrap()));
            }
            assert_eq!(codes, [(None, -32700), (None, -32600), (None, -32600), (Some(json!(7)), -32600)]);
            let unknown = peer.ask(&modern(2, "nope", json!({}))).await;
            assert_eq!(unknown["error"]["code"], -32601);
            let bare = peer.ask(&json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})).await;
            assert_eq!(bare["error"]["code"], -32600, "{bare}");
            assert_eq!(text(&peer.ask(&modern_call(4, "look", json!({}))).await), "seen");
        },
    );
}

#[test]
fn who_may_only_read_calls_tools_that_only_read_unless_a_token_says_more() {
    with_bench(
        |_| {},
        async |bench| {
            bench.gate.access.set(Access::ReadOnly);
            let mut peer = bench.peer();
            assert_eq!(text(&peer.ask(&modern_call(1, "look", json!({}))).await), "seen");
            let refused = peer.ask(&modern_call(2, "nap", json!({"ms": 1}))).await;
            assert_eq!(refused["error"]["code"], -33403, "{refused}");
            let sentence = refused["error"]["message"].as_str().unwrap();
            assert!(sentence.contains("ringmesh/token") && sentence.contains("p2p_open"), "{sentence}");
            let params = json!({"name": "nap", "arguments": {"ms": 1}});
            for (token, allowed) in [("secret", true), ("guess", false)] {
                let more = json!({"ringmesh/token": token});
                let answer = peer.ask(&modern_with(3, "tools/call", params.clone(), more)).await;
                assert_eq!(answer.get("result").is_some(), allowed, "{answer}");
            }
            // A session shows the token once.
            let mut peer = bench.peer();
            let mut initialize = initialize("2025-11-25", json!({}));
            initialize["params"]["_meta"] = json!({"ringmesh/token": "secret"});
            peer.ask(&initialize).await;
            assert_eq!(text(&peer.ask(&super::call(1, "nap", json!({"ms": 1}))).await), "slept 1");
        },
    );
}

#[test]
fn of_changes_of_what_is_private_only_full_access_hears() {
    let (open, private) = ("test://open", "test://private");
    let registry = Registry::new()
        .resource(Resource::text(open, "open", ""))
        .resource(Resource::text(private, "private", "").private(true));
    with_server(Server::new(ServerConfig::default()).registry(registry), async move |bench| {
        bench.gate.access.set(Access::ReadOnly);
        let params = json!({"notifications": {"resourceSubscriptions": [open, private]}});
        for (token, told) in [("guess", json!([open])), ("secret", json!([open, private]))] {
            let mut peer = bench.peer();
            let more = json!({"ringmesh/token": token});
            peer.send(&modern_with(1, "subscriptions/listen", params.clone(), more)).await;
            let opened = peer.next().await.unwrap();
            assert_eq!(opened["params"]["notifications"]["resourceSubscriptions"], told, "{opened}");
        }
        let mut peer = bench.peer();
        peer.ask(&initialize("2025-11-25", json!({}))).await;
        for (uri, refused) in [(open, false), (private, true)] {
            let params = json!({"uri": uri});
            let subscribe =
                json!({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": params});
            assert_eq!(peer.ask(&subscribe).await.get("error").is_some(), refused, "{uri}");
        }
    });
}

#[test]
fn requests_beyond_the_rate_are_refused_one_by_one() {
    with_bench(
        |_| {},
        async |bench| {
            bench.gate.left.set(1);
            let mut peer = bench.peer();
            assert_eq!(text(&peer.ask(&modern_call(1, "look", json!({}))).await), "seen");
            let refused = peer.ask(&modern_call(2, "look", json!({}))).await;
            assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(2), &json!(-33429)));
            assert_eq!(refused["error"]["data"]["retryable"], true);
            assert!(bench.hits(Limit::P2pRequestRate));
            bench.gate.left.set(1);
            assert_eq!(text(&peer.ask(&modern_call(3, "look", json!({}))).await), "seen");
        },
    );
}

#[test]
fn the_task_queue_answers_newer_peers_as_a_tool() {
    with_bench(
        |_| {},
        async |bench| {
            let mut peer = bench.peer();
            let ok = peer.ask(&modern_call(1, "task_queue.rpc", json!({"op": "status"}))).await;
            assert_eq!(ok["result"]["structuredContent"]["ok"], true, "{ok}");
            assert_eq!(ok["result"]["resultType"], "complete");
            assert!(ok["result"].get("isError").is_none() && ok["result"]["_meta"].is_object());
            let failed = peer.ask(&modern_call(2, "task_queue.rpc", json!({"op": "claim"}))).await;
            assert_eq!(failed["result"]["isError"], true);
            let content: Value = serde_json::from_str(text(&failed)).unwrap();
            assert_eq!(content["error"], "queue_unavailable");
            let list = peer.ask(&modern(3, "tools/list", json!({}))).await;
            assert!(!list.to_string().contains("task_queue.rpc"));
            peer.send(&modern_call(4, "task_queue.rpc", json!({"op": "hang"}))).await;
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}});
            peer.send(&cancel).await;
            peer.assert_quiet().await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 0);
        },
    );
}
