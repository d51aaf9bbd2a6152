//! Clients that listen for changes, over sockets: `subscriptions/listen` of 2026-07-28.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::time::{Duration, Instant};

use common::events::{EventClient, metric, subscribe};
use common::tools::{Nothing, eventually};
use common::{TestServer, config, modern, text};
use ringmesh::{CallError, Context, Registry, Resource, ServerConfig};
use serde_json::{Value, json};

const ID: &str = "io.modelcontextprotocol/subscriptionId";

async fn change_tools(_: Nothing, context: Context) -> Result<&'static str, CallError> {
    context.registry().tools_changed();
    Ok("told")
}

async fn change_prompts(_: Nothing, context: Context) -> Result<&'static str, CallError> {
    context.registry().prompts_changed();
    Ok("told")
}

/// Tells of every list very often.
async fn flood(args: common::tools::Events, context: Context) -> Result<&'static str, CallError> {
    for at in 0..args.count {
        context.registry().tools_changed();
        context.registry().resource_updated("test://watched");
        if at % 64 == 0 {
            ringmesh::runtime::yield_now().await;
        }
    }
    Ok("told")
}

fn registry() -> Registry {
    Registry::new()
        .dynamic()
        .resource(Resource::text("test://watched", "watched", ""))
        .tool("change_tools", "", change_tools)
        .tool("change_prompts", "", change_prompts)
        .tool("flood", "", flood)
}

fn limited(change: impl FnOnce(&mut ServerConfig)) -> ServerConfig {
    let mut config = config();
    change(&mut config);
    config
}

fn tools() -> Value {
    json!({ "toolsListChanged": true })
}

#[test]
fn a_change_reaches_those_who_asked_for_it() {
    let server = TestServer::with_tools(config(), registry());
    let mut on_tools = subscribe(server.addr, "t", tools());
    let mut on_prompts = subscribe(server.addr, 2, json!({ "promptsListChanged": true }));
    for _ in 0..3 {
        assert_eq!(text(&server.client().call("change_tools", json!({})).json()), "told");
        let event = on_tools.event().json();
        assert_eq!(event["method"], "notifications/tools/list_changed");
        assert_eq!(event["params"]["_meta"][ID], "t");
    }
    server.client().call("change_prompts", json!({}));
    let event = on_prompts.event().json();
    assert_eq!(
        (&event["method"], &event["params"]["_meta"][ID]),
        (&json!("notifications/prompts/list_changed"), &json!(2))
    );
    assert!(on_tools.is_quiet(Duration::from_millis(100)));
    assert_eq!(on_tools.head.header("x-accel-buffering"), Some("no"));
    assert_eq!(metric(server.addr, "ringmesh_event_streams_open"), 2.0);
}

#[test]
fn a_client_that_goes_away_ends_its_subscription() {
    let server = TestServer::with_tools(config(), registry());
    let streams: Vec<_> = (0..20).map(|id| subscribe(server.addr, id, tools())).collect();
    assert_eq!(metric(server.addr, "ringmesh_event_streams_open"), 20.0);
    drop(streams);
    eventually("the streams are gone", || metric(server.addr, "ringmesh_event_streams_open") == 0.0);
    assert_eq!(server.client().call("change_tools", json!({})).status, 200);
}

#[test]
fn a_thousand_listeners_hear_of_one_change() {
    let server = TestServer::with_tools(config(), registry());
    let mut streams: Vec<EventClient> = (0..1_000).map(|id| subscribe(server.addr, id, tools())).collect();
    let begun = Instant::now();
    server.client().call("change_tools", json!({}));
    for (id, stream) in streams.iter_mut().enumerate() {
        assert_eq!(stream.event().json()["params"]["_meta"][ID], id);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_slow_listener_costs_no_more_than_its_flags() {
    let server = TestServer::with_tools(config(), registry());
    let filter = json!({ "toolsListChanged": true, "resourceSubscriptions": ["test://watched"] });
    let slow: Vec<_> = (0..20).map(|id| subscribe(server.addr, id, filter.clone())).collect();
    let mut caller = server.client();
    // Far more events than any socket buffer holds, and none of them is read.
    for _ in 0..3 {
        let answer = caller.ask(common::call("flood", json!({ "count": 10_000, "bytes": 0 })));
        assert_eq!(text(&answer.json()), "told");
    }
    assert!(metric(server.addr, "ringmesh_buffered_bytes") < 16e6, "nothing piles up");
    assert_eq!(metric(server.addr, "ringmesh_replay_bytes"), 0.0);
    drop(slow);
}

#[test]
fn one_stream_too_many_is_told_to_come_back() {
    let server = TestServer::with_tools(limited(|config| config.limits.max_event_streams = 3), registry());
    let mut streams: Vec<_> = (0..3).map(|id| subscribe(server.addr, id, tools())).collect();
    let request = modern(9, "subscriptions/listen", json!({ "notifications": tools() }));
    let answer = server.client().ask(&request);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["error"]["code"], -33503);
    assert!(metric(server.addr, r#"ringmesh_limit_hits_total{limit="max_event_streams"}"#) >= 1.0);
    streams.pop();
    eventually("a place is free", || metric(server.addr, "ringmesh_event_streams_open") == 2.0);
    drop(subscribe(server.addr, 9, tools()));
}

#[test]
fn open_streams_take_no_handler_and_have_no_deadline() {
    let config = limited(|config| {
        config.limits.max_inflight_requests = 1;
        config.limits.tool_timeout_ms = 100;
        config.limits.sse_keepalive_ms = 100;
    });
    let server = TestServer::with_tools(config, registry());
    let mut streams: Vec<_> = (0..4).map(|id| subscribe(server.addr, id, tools())).collect();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(text(&server.client().call("change_tools", json!({})).json()), "told");
    for stream in &mut streams {
        assert_eq!(stream.event().method(), "notifications/tools/list_changed");
        assert!(stream.comments >= 2, "signs of life on a quiet stream");
    }
}

#[test]
fn shutdown_ends_open_streams_in_order_and_at_once() {
    let server = TestServer::with_tools(limited(|config| config.shutdown_grace_ms = 8_000), registry());
    let mut streams: Vec<_> = (0..10).map(|id| subscribe(server.addr, id, tools())).collect();
    let begun = Instant::now();
    server.handle.stop();
    for (id, stream) in streams.iter_mut().enumerate() {
        let last = stream.rest().pop().expect("the result").json();
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(id), &json!("complete")));
        assert_eq!(last["result"]["_meta"][ID], id);
        assert!(stream.client.is_closed());
    }
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn without_sockets_a_stream_says_what_there_is_and_ends() {
    let app = ringmesh::Server::new(config()).registry(registry()).into_app().unwrap();
    let request = modern(5, "subscriptions/listen", json!({ "notifications": tools() }));
    let answer = futures_lite::future::block_on(app.handle(&request));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"), "{answer}");
    let data: Vec<Value> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(data.len(), 2, "{answer}");
    assert_eq!(data[1]["result"]["resultType"], "complete");
    assert!(answer.ends_with("0\r\n\r\n"));
}
