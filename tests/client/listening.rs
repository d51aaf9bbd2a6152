//! Hearing of changes, in both eras.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::poll_once;
use ringmesh::client::{Change, ClientError, ListenFilter};
use ringmesh::runtime::{Scope, ScopeOptions, sleep};
use serde_json::{Value, json};

use super::script::{Answer, Feed, Script, Seen, Step};
use super::{connect, options, run};

const ID: &str = "io.modelcontextprotocol/subscriptionId";

fn tagged(id: &Value, method: &str, mut params: Value) -> Step {
    params["_meta"] = json!({ ID: id });
    Step::note(method, params)
}

fn acknowledged(seen: &Seen) -> Step {
    let granted =
        json!({ "toolsListChanged": true, "resourceSubscriptions": ["test://a", "test://not-asked-for"] });
    tagged(&seen.id(), "notifications/subscriptions/acknowledged", json!({ "notifications": granted }))
}

fn filter() -> ListenFilter {
    ListenFilter::default().tools().prompts().resource("test://a")
}

#[test]
fn a_subscription_ends_with_the_scope_of_its_client() {
    run(|_| async move {
        let open = |seen: &Seen| match seen.method() {
            "subscriptions/listen" => Answer::Events(vec![acknowledged(seen), Step::Hang]),
            "GET" => Answer::Events(vec![Step::Hang]),
            "notifications/cancelled" => Answer::status(202),
            _ => seen.result(json!({})),
        };
        for script in [Script::modern(open), Script::old(open)] {
            let ended = Scope::run(ScopeOptions::named("inner"), |scope| async move {
                let client = connect(&scope, &script, options()).await;
                let changes = client.listen(filter()).await?;
                scope.cancel();
                Ok::<_, ClientError>(changes)
            });
            let mut changes = ended.await.unwrap();
            let late = async {
                sleep(Duration::from_secs(2)).await;
                panic!("nobody told the subscription")
            };
            let told = futures_lite::future::or(changes.next(), late).await;
            assert_eq!(told, Some(Err(ClientError::Closed)));
        }
    });
}

#[test]
fn a_subscription_of_the_new_era_has_a_stream_of_its_own() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            let id = seen.id();
            let stray = tagged(&json!("other"), "notifications/tools/list_changed", json!({}));
            Answer::Events(vec![
                acknowledged(seen),
                stray,
                tagged(&id, "notifications/prompts/list_changed", json!({})),
                tagged(&id, "notifications/resources/updated", json!({ "uri": "test://a" })),
                Step::data(json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete" } })),
                Step::Hang,
            ])
        });
        let heard = Rc::new(RefCell::new(Vec::new()));
        let hear = heard.clone();
        let client =
            connect(&scope, &script, options().on_change(move |change| hear.borrow_mut().push(change))).await;
        let mut changes = client.listen(filter()).await.unwrap();
        let asked = &script.sent("subscriptions/listen")[0];
        let expected = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["test://a"] });
        assert_eq!(asked.body["params"]["notifications"], expected);
        assert_eq!(*changes.granted(), ListenFilter::default().tools().resource("test://a"));
        let update = Change::Resource { uri: "test://a".into() };
        assert_eq!(
            changes.next().await,
            Some(Ok(update.clone())),
            "prompts were not granted, the stray is not ours"
        );
        assert_eq!(changes.next().await, None, "the server ended it in order");
        assert_eq!(*heard.borrow(), [update]);
        scope.wait_idle().await;
        assert_eq!((script.open.get(), script.count("subscriptions/listen")), (0, 1));
    });
}

#[test]
fn a_subscription_that_breaks_is_made_again() {
    run(|scope| async move {
        let opened = Cell::new(0);
        let script = Script::modern(move |seen| {
            opened.set(opened.get() + 1);
            match opened.get() {
                1 => Answer::Events(vec![acknowledged(seen), Step::id("", Some(1)), Step::Break]),
                2 => Answer::status(503),
                _ => Answer::Events(vec![
                    acknowledged(seen),
                    tagged(&seen.id(), "notifications/tools/list_changed", json!({})),
                    Step::Hang,
                ]),
            }
        });
        let client = connect(&scope, &script, options()).await;
        let mut changes = client.listen(filter()).await.unwrap();
        assert_eq!(changes.next().await, Some(Ok(Change::Reconnected)));
        assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
        let ids: Vec<Value> = script.sent("subscriptions/listen").iter().map(Seen::id).collect();
        assert!(ids.len() == 3 && ids[0] != ids[1] && ids[1] != ids[2]);
        drop(changes);
        scope.wait_idle().await;
        assert_eq!(script.open.get(), 0);
    });
}

#[test]
fn a_subscription_that_stays_broken_says_so_once() {
    run(|scope| async move {
        let opened = Cell::new(0);
        let script = Script::modern(move |seen| {
            opened.set(opened.get() + 1);
            if opened.get() == 1 {
                return Answer::Events(vec![acknowledged(seen), Step::id("", Some(1))]);
            }
            Answer::status(503)
        });
        let mut options = options();
        options.limits.max_resumptions = 2;
        let client = connect(&scope, &script, options).await;
        let mut changes = client.listen(filter()).await.unwrap();
        assert!(matches!(changes.next().await, Some(Err(ClientError::Http { status: 503, .. }))));
        assert_eq!(changes.next().await, None);
        assert_eq!(script.count("subscriptions/listen"), 3);
    });
}

#[test]
fn what_is_no_acknowledgment_is_refused() {
    let answers: [fn(&Seen) -> Answer; 4] = [
        |seen| Answer::Events(vec![tagged(&seen.id(), "notifications/tools/list_changed", json!({}))]),
        |seen| Answer::Events(vec![seen.last(json!({}))]),
        |seen| seen.result(json!({})),
        |seen| seen.error(404, -32601, Value::Null),
    ];
    for answer in answers {
        run(move |scope| async move {
            let script = Script::modern(answer);
            let client = connect(&scope, &script, options()).await;
            let error = client.listen(filter()).await.unwrap_err();
            assert!(matches!(error, ClientError::Malformed { .. } | ClientError::Protocol(_)), "{error}");
            assert_eq!((script.open.get(), scope.tasks()), (0, 0));
        });
    }
    run(|scope| async move {
        let script = Script::modern(|_| Answer::Events(vec![Step::Hang]));
        let mut options = options();
        options.request_timeout = Duration::from_millis(30);
        let client = connect(&scope, &script, options).await;
        assert!(matches!(client.listen(filter()).await, Err(ClientError::Timeout { .. })));
    });
}

#[test]
fn an_older_servers_stream_serves_all_who_listen() {
    run(|scope| async move {
        let feed = Rc::new(Feed::default());
        let stream = feed.clone();
        let script = Script::old(move |seen| match seen.method() {
            "GET" => Answer::Feed(stream.clone()),
            _ => seen.result(json!({})),
        });
        let client = connect(&scope, &script, options()).await;
        let mut tools = client.listen(ListenFilter::default().tools()).await.unwrap();
        let mut resource = client.listen(ListenFilter::default().resource("test://a")).await.unwrap();
        assert!(tools.is_live() && script.count("GET") == 1 && script.count("resources/subscribe") == 1);
        feed.push(Step::note("notifications/resources/updated", json!({ "uri": "test://a" })));
        feed.push(Step::note("notifications/tools/list_changed", json!({})));
        assert_eq!(resource.next().await, Some(Ok(Change::Resource { uri: "test://a".into() })));
        assert_eq!(tools.next().await, Some(Ok(Change::Tools)));
        assert!(poll_once(resource.next()).await.is_none());
        drop(tools);
        assert_eq!(scope.tasks(), 1, "one still listens");
        resource.close().await.unwrap();
        assert_eq!(script.count("resources/unsubscribe"), 1);
        scope.wait_idle().await;
        assert_eq!(script.open.get(), 0);
        let again = client.listen(ListenFilter::default().tools()).await.unwrap();
        assert!(again.is_live() && script.count("GET") == 2);
    });
}

#[test]
fn a_server_without_such_a_stream_tells_beside_its_answers() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "GET" => Answer::status(405),
            _ => Answer::Events(vec![
                Step::note("notifications/tools/list_changed", json!({})),
                seen.last(json!({ "content": [] })),
            ]),
        });
        let client = connect(&scope, &script, options()).await;
        let mut changes = client.listen(ListenFilter::lists()).await.unwrap();
        assert!(!changes.is_live());
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
    });
}

#[test]
fn an_older_servers_stream_goes_on_after_a_break_and_in_a_new_session() {
    run(|scope| async move {
        let gets = Cell::new(0);
        let script = Script::old(move |seen| {
            if seen.method() != "GET" {
                return seen.result(json!({}));
            }
            gets.set(gets.get() + 1);
            let last = seen.outgoing.head.last_event_id.as_deref();
            match (gets.get(), last, seen.outgoing.head.session_id.as_deref().unwrap()) {
                (1, None, "session-1") => Answer::Events(vec![Step::id("e1", Some(1))]),
                (2, Some("e1"), "session-1") => Answer::Events(vec![
                    Step::note("notifications/tools/list_changed", json!({})),
                    Step::Break,
                ]),
                (3, Some("e1"), "session-1") => Answer::status(404),
                (4, None, "session-2") => Answer::Events(vec![
                    Step::note("notifications/prompts/list_changed", json!({})),
                    Step::Hang,
                ]),
                other => panic!("{other:?}"),
            }
        });
        let client = connect(&scope, &script, options()).await;
        let mut changes = client.listen(ListenFilter::lists()).await.unwrap();
        assert_eq!(changes.next().await, Some(Ok(Change::Tools)));
        assert_eq!(changes.next().await, Some(Ok(Change::Reconnected)), "the old session's events are lost");
        assert_eq!(changes.next().await, Some(Ok(Change::Prompts)));
        assert_eq!(script.count("initialize"), 2);
        sleep(Duration::from_millis(5)).await;
    });
}

#[test]
fn subscriptions_are_bounded() {
    run(|scope| async move {
        let script = Script::modern(|_| Answer::status(500));
        let mut options = options();
        options.limits.max_subscribed_resources = 2;
        let client = connect(&scope, &script, options).await;
        let filter = (0..3).fold(ListenFilter::default(), |filter, n| filter.resource(format!("test://{n}")));
        let error = client.listen(filter).await.unwrap_err();
        assert_eq!(error, ClientError::Limit { limit: "max_subscribed_resources", max: 2 });
    });
}
