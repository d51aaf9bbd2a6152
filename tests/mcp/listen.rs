//! `subscriptions/listen` of 2026-07-28, and `resources/subscribe` of the revisions before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ringmesh::mcp::{Registry, ResourceTemplate, Tool};
use serde_json::{Value, json};

use crate::support::{Headers, LEGACY, Server, feed_end, feed_events, modern};

const ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What may be subscribed to: `a:1`, `a:2` and so on.
fn registry() -> Registry {
    let numbered = ResourceTemplate::new("a:{number}", "numbered", |_: Value, _| async { Ok("") });
    Registry::new().dynamic().resource_template(numbered)
}

fn server() -> Server {
    Server::new(registry())
}

fn ask(server: &Server, id: &Value, notifications: Value) -> ringmesh::mcp::Feed {
    let (headers, mut body) = modern("subscriptions/listen", json!({ "notifications": notifications }));
    body["id"] = id.clone();
    server.listen(&headers, body.to_string())
}

fn all() -> Value {
    json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true})
}

#[test]
fn the_acknowledgement_comes_first_and_every_message_names_the_subscription() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    for id in [json!(7), json!("7"), json!("a\"b"), json!(1_763_830_000_123_u64)] {
        let mut feed = ask(&server, &id, all());
        handle.tools_changed();
        let events = feed_events(&mut feed);
        let methods: Vec<_> = events.iter().map(|event| event.data["method"].as_str().unwrap()).collect();
        assert_eq!(methods, ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"]);
        assert_eq!(events[0].data["params"]["notifications"], all());
        assert!(events.iter().all(|event| event.data["params"]["_meta"][ID] == id), "{events:?}");
        assert!(
            events.iter().all(|event| event.id.is_none() && event.retry_ms.is_none()),
            "nothing to resume"
        );
        assert!(feed_end(&mut feed).is_none());
    }
}

#[test]
fn only_requested_types_are_sent_and_each_once() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    let mut feed = ask(
        &server,
        &json!(1),
        json!({"promptsListChanged": true, "resourceSubscriptions": ["a:1", "a:2", "b:1"]}),
    );
    // There is no resource b:1.
    let expected = json!({"promptsListChanged": true, "resourceSubscriptions": ["a:1", "a:2"]});
    assert_eq!(feed_events(&mut feed)[0].data["params"]["notifications"], expected);
    for _ in 0..100 {
        handle.tools_changed();
        handle.resources_changed();
        handle.prompts_changed();
        handle.resource_updated("a:2");
        handle.resource_updated("a:3");
    }
    let events = feed_events(&mut feed);
    let data: Vec<_> =
        events.iter().map(|event| (&event.data["method"], &event.data["params"]["uri"])).collect();
    let (prompts, updated) =
        (json!("notifications/prompts/list_changed"), json!("notifications/resources/updated"));
    assert_eq!(data, [(&prompts, &Value::Null), (&updated, &json!("a:2"))]);
    handle.prompts_changed();
    assert_eq!(feed_events(&mut feed).len(), 1, "and again after it was told");
}

#[test]
fn a_publisher_on_another_thread_wakes_the_listener() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let server = server();
    let mut feed = ask(&server, &json!(1), all());
    feed_events(&mut feed);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut out = Vec::new();
    assert!(feed.poll_event(&mut Context::from_waker(&waker), &mut out).is_pending());
    let handle = server.dispatcher.registry_handle();
    std::thread::spawn(move || (0..9).for_each(|_| handle.tools_changed())).join().unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "what is known wakes nobody");
    assert!(matches!(feed.poll_event(&mut Context::from_waker(&waker), &mut out), Poll::Ready(_)));
}

#[test]
fn a_tool_that_comes_or_goes_is_told_in_both_eras() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    let session = server.open(LEGACY);
    let mut streams = [ask(&server, &json!(1), all()), server.open_stream(&session)];
    streams.iter_mut().for_each(|feed| drop(feed_events(feed)));
    let mut told = || {
        let methods = |feed: &mut ringmesh::mcp::Feed| {
            feed_events(feed).into_iter().map(|event| event.data["method"].clone()).collect::<Vec<_>>()
        };
        streams.each_mut().map(methods)
    };
    let tool = || Tool::raw("late", "", json!({"type": "object"}), |_: Value, _| async { Ok("") });
    let changed =
        || [vec![json!("notifications/tools/list_changed")], vec![json!("notifications/tools/list_changed")]];
    handle.add_tool(tool()).unwrap();
    assert_eq!(told(), changed());
    assert!(handle.add_tool(tool()).is_err());
    assert_eq!(told(), [Vec::<Value>::new(), Vec::new()], "nothing has changed");
    assert!(handle.put_tool(tool()).unwrap());
    assert_eq!(told(), changed());
    assert!(handle.remove_tool("late"));
    assert_eq!(told(), changed());
}

#[test]
fn the_end_is_the_result_of_the_request() {
    let server = server();
    let mut feed = ask(&server, &json!("x"), json!({}));
    feed.stop();
    assert!(feed_end(&mut feed).is_none(), "the acknowledgement comes before");
    assert_eq!(feed_events(&mut feed).len(), 1);
    let (answer, message) = feed_end(&mut feed).unwrap();
    assert_eq!((answer.status, answer.has_body), (200, true));
    assert_eq!((&message["id"], &message["result"]["resultType"]), (&json!("x"), &json!("complete")));
    let meta = &message["result"]["_meta"];
    assert_eq!(meta[ID], "x");
    assert!(meta["io.modelcontextprotocol/serverInfo"]["name"].is_string(), "{message}");
}

#[test]
fn malformed_filters_are_refused() {
    let server = Server::limited(registry(), |limits| {
        limits.max_resource_subscriptions = 2;
        limits.max_uri_bytes = 64;
    });
    let long = format!("a:{}", "x".repeat(63));
    for (params, error) in [
        (json!({}), "invalid_params"),
        (json!({"notifications": null}), "invalid_params"),
        (json!({"notifications": []}), "invalid_params"),
        (json!({"notifications": {"toolsListChanged": "yes"}}), "invalid_params"),
        (json!({"notifications": {"resourceSubscriptions": ["no uri"]}}), "invalid_params"),
        (
            json!({"notifications": {"resourceSubscriptions": ["a:1", "a:2", "a:3"]}}),
            "too_many_subscriptions",
        ),
        (json!({"notifications": {"resourceSubscriptions": [long]}}), "uri_too_long"),
    ] {
        let got = server.modern("subscriptions/listen", params.clone());
        assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some(error)), "{params}");
        assert_eq!(got.body()["id"], 1);
    }
    assert_eq!(server.dispatcher.event_streams(), 0);
}

#[test]
fn streams_have_places_and_give_them_back() {
    let server = Server::limited(registry(), |limits| limits.max_event_streams = 2);
    let session = server.open(LEGACY);
    for _ in 0..3 {
        let listening = ask(&server, &json!(1), all());
        let own = server.open_stream(&session);
        assert_eq!(server.dispatcher.event_streams(), 2);
        let got = server.modern("subscriptions/listen", json!({"notifications": {}}));
        assert_eq!((got.status, got.retry_after_s), (503, Some(1)));
        assert_eq!(got.error(), Some("event_streams_full"));
        let other = server.open(LEGACY);
        let got = server.get(&other);
        assert_eq!((got.status, got.retry_after_s, got.error()), (503, Some(1), Some("event_streams_full")));
        assert!(got.message().contains("max_event_streams"), "{}", got.text);
        drop((listening, own));
        assert_eq!(server.dispatcher.event_streams(), 0);
    }
}

#[test]
fn the_method_is_one_of_2026_07_28_only() {
    let server = server();
    let session = server.open(LEGACY);
    // The method alone makes the request one of the new era, which then lacks its metadata.
    let got = server.legacy(&session, "subscriptions/listen", json!({"notifications": {}}));
    assert_eq!((got.status, got.code()), (400, -32602));
    let (headers, body) = modern("subscriptions/listen", json!({"notifications": {}}));
    let headers = Headers { method: Some("tools/list".into()), ..headers };
    assert_eq!(server.post(&headers, body.to_string()).code(), -32020);
}

#[test]
fn older_clients_subscribe_within_their_session() {
    let server = Server::limited(registry(), |limits| limits.max_resource_subscriptions = 2);
    let handle = server.dispatcher.registry_handle();
    let session = server.open(LEGACY);
    let subscribe = |uri: &str| server.legacy(&session, "resources/subscribe", json!({ "uri": uri }));
    assert_eq!(*subscribe("a:1").result(), json!({}));
    assert_eq!(*subscribe("a:1").result(), json!({}), "twice is once");
    assert_eq!(*subscribe("a:2").result(), json!({}));
    let got = subscribe("a:3");
    assert_eq!((got.status, got.code(), got.error()), (200, -32602, Some("too_many_subscriptions")));
    // What changes before the stream is open waits for it, once.
    handle.resource_updated("a:1");
    handle.resource_updated("a:1");
    handle.resource_updated("a:3");
    let mut feed = server.open_stream(&session);
    let events = feed_events(&mut feed);
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1].data["params"], json!({"uri": "a:1"}));
    assert_eq!(*server.legacy(&session, "resources/unsubscribe", json!({"uri": "a:1"})).result(), json!({}));
    assert_eq!(*server.legacy(&session, "resources/unsubscribe", json!({"uri": "a:9"})).result(), json!({}));
    handle.resource_updated("a:1");
    assert_eq!(feed_events(&mut feed), []);
    assert_eq!(*subscribe("a:3").result(), json!({}), "there is room again");
    for params in [json!({}), json!({"uri": 1}), json!({"uri": "no uri"})] {
        for method in ["resources/subscribe", "resources/unsubscribe"] {
            let got = server.legacy(&session, method, params.clone());
            assert_eq!((got.status, got.code()), (200, -32602), "{method} {params}");
        }
    }
}
