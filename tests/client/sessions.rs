//! Sessions that the server forgets.

use std::cell::Cell;
use std::rc::Rc;

use futures_lite::future::zip;
use ringmesh::client::ClientError;
use ringmesh::mcp::LogLevel;
use serde_json::{Value, json};

use super::script::{Answer, Script, Step};
use super::{connect, options, run};

/// A server that forgets sessions up to this number.
fn forgetting(forgotten: Rc<Cell<usize>>) -> Rc<Script> {
    Script::old(move |seen| {
        let session = seen.outgoing.head.session_id.clone().unwrap();
        let number: usize = session.strip_prefix("session-").unwrap().parse().unwrap();
        match seen.method() {
            _ if number <= forgotten.get() => Answer::text(404, "Session not found"),
            "GET" => Answer::status(405),
            _ => seen.result(json!({ "content": [] })),
        }
    })
}

#[test]
fn a_lost_session_is_begun_anew_and_the_request_repeated() {
    run(|scope| async move {
        let forgotten = Rc::new(Cell::new(0));
        let script = forgetting(forgotten.clone());
        let client = connect(&scope, &script, options()).await;
        client.call_tool("t", Value::Null).await.unwrap();
        client.set_log_level(LogLevel::Error).await.unwrap();
        client.subscribe("test://a").await.unwrap();
        forgotten.set(1);
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!((script.count("initialize"), script.count("tools/call")), (2, 3));
        let again = script.sent("initialize").pop().unwrap();
        assert_eq!(again.outgoing.head.session_id, None);
        let last = |method: &str| script.sent(method).pop().unwrap().outgoing.head.session_id;
        for method in ["tools/call", "notifications/initialized", "resources/subscribe", "logging/setLevel"] {
            assert_eq!(last(method).as_deref(), Some("session-2"), "{method}");
        }
    });
}

#[test]
fn requests_that_lose_the_session_together_begin_one_new_one() {
    run(|scope| async move {
        let forgotten = Rc::new(Cell::new(0));
        let script = forgetting(forgotten.clone());
        let client = connect(&scope, &script, options()).await;
        forgotten.set(1);
        let call = || async { client.call_tool("t", Value::Null).await.unwrap() };
        zip(zip(call(), call()), zip(call(), call())).await;
        assert_eq!(script.count("initialize"), 2);
    });
}

#[test]
fn a_session_that_is_lost_again_is_a_loud_failure() {
    run(|scope| async move {
        let forgotten = Rc::new(Cell::new(0));
        let script = forgetting(forgotten.clone());
        let client = connect(&scope, &script, options()).await;
        forgotten.set(1_000);
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(matches!(&error, ClientError::SessionLost { why } if why.contains("404")), "{error}");
        assert_eq!((script.count("initialize"), script.count("tools/call")), (2, 2));
    });
}

#[test]
fn a_server_that_begins_no_new_session_is_a_loud_failure() {
    run(|scope| async move {
        let began = Cell::new(false);
        let script = Script::new(move |seen| match seen.method() {
            "server/discover" => Answer::status(404),
            "initialize" if !began.replace(true) => {
                seen.result(super::script::initialized("2025-11-25")).in_session("one")
            }
            "notifications/initialized" => Answer::status(202),
            _ => Answer::status(404),
        });
        let client = connect(&scope, &script, options()).await;
        let error = client.list_tools().await.unwrap_err();
        assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
        assert_eq!((script.count("initialize"), script.count("tools/list")), (2, 1));
    });
}

#[test]
fn a_call_whose_stream_dies_with_the_session_is_not_repeated() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![Step::id("a", Some(1)), Step::Break]),
            "GET" => Answer::status(404),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(matches!(&error, ClientError::SessionLost { why } if why.contains("not known")), "{error}");
        assert_eq!(script.count("tools/call"), 1);
    });
}

#[test]
fn a_method_that_does_not_exist_is_no_lost_session() {
    run(|scope| async move {
        let script = Script::old(|seen| seen.error(404, -32601, Value::Null));
        let client = connect(&scope, &script, options()).await;
        assert_eq!(
            client.request_raw("x/y", Value::Null).await.unwrap_err().protocol().unwrap().code,
            -32601
        );
        assert_eq!(script.count("initialize"), 1);
    });
}
