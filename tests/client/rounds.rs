//! `input_required`: questions in results, and the requests that answer them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_lite::future::zip;
use ringmesh::client::{ClientError, ElicitReply, Root, SampleReply};
use serde_json::{Value, json};

use super::script::Script;
use super::{connect, options, run};

fn elicit(message: &str) -> Value {
    json!({ "method": "elicitation/create", "params": { "message": message,
        "requestedSchema": { "type": "object", "properties": { "n": { "type": "integer", "default": 7 } } } } })
}

#[test]
fn questions_are_answered_and_the_call_is_made_again() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            let params = &seen.body["params"];
            match params["inputResponses"].as_object() {
                None => seen.result(json!({ "resultType": "input_required", "requestState": "opaque \u{0} ü",
                    "inputRequests": { "a": elicit("who?"), "b": { "method": "roots/list" },
                        "c": { "method": "sampling/createMessage", "params": { "messages": [], "maxTokens": 5 } } } })),
                Some(_) => seen.result(json!({ "resultType": "complete", "content": [] })),
            }
        });
        let options = options()
            .on_elicit(|request| async move {
                assert_eq!(request.message, "who?");
                Ok(ElicitReply::accept([]))
            })
            .on_roots(|| async { Ok(vec![Root { uri: "file:///x".into(), name: None }]) })
            .on_sample(|request| async move { Ok(SampleReply::text("m", request.max_tokens.to_string())) });
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", json!({ "x": 1 })).await.unwrap();
        let calls = script.sent("tools/call");
        assert_eq!(calls.len(), 2);
        assert_ne!(calls[0].id(), calls[1].id());
        let params = &calls[1].body["params"];
        assert_eq!((&params["name"], &params["arguments"]), (&json!("t"), &json!({ "x": 1 })));
        assert_eq!(params["requestState"], "opaque \u{0} ü");
        let answers = &params["inputResponses"];
        assert_eq!(answers["a"], json!({ "action": "accept", "content": { "n": 7 } }));
        assert_eq!(answers["b"], json!({ "roots": [{ "uri": "file:///x" }] }));
        assert_eq!(answers["c"]["content"], json!({ "type": "text", "text": "5" }));
    });
}

#[test]
fn state_is_never_invented_and_calls_do_not_mix() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            let params = &seen.body["params"];
            let name = params["name"].as_str().unwrap();
            match (name, params.get("inputResponses")) {
                ("plain", given) => {
                    assert!(given.is_none() && params.get("requestState").is_none());
                    seen.result(json!({ "content": [] }))
                }
                ("stateless", None) => {
                    seen.result(json!({ "resultType": "input_required", "inputRequests": { "k": elicit(name) } }))
                }
                (_, None) if params.get("requestState").is_none() => seen.result(
                    json!({ "resultType": "input_required", "requestState": name, "inputRequests": { name: elicit(name) } }),
                ),
                (_, given) => {
                    let state = params.get("requestState").cloned();
                    assert_eq!(state, (name != "stateless").then(|| json!(name)));
                    let keys: Vec<&String> = given.and_then(Value::as_object).unwrap().keys().collect();
                    assert_eq!(keys, [if name == "stateless" { "k" } else { name }]);
                    seen.result(json!({ "resultType": "complete", "content": [] }))
                }
            }
        });
        let client =
            connect(&scope, &script, options().on_elicit(|_| async { Ok(ElicitReply::Decline) })).await;
        let call = async |name: &str| client.call_tool(name, Value::Null).await.unwrap();
        zip(zip(call("a"), call("b")), zip(call("stateless"), call("plain"))).await;
        assert_eq!(script.count("tools/call"), 7);
    });
}

#[test]
fn the_number_of_rounds_is_bounded() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            seen.result(json!({ "resultType": "input_required", "requestState": "again" }))
        });
        let mut options = options();
        options.limits.max_rounds = 3;
        let client = connect(&scope, &script, options).await;
        let error = client.get_prompt("p", Default::default()).await.unwrap_err();
        assert_eq!(error, ClientError::Limit { limit: "max_rounds", max: 3 });
        let ids: std::collections::BTreeSet<String> =
            script.sent("prompts/get").iter().map(|seen| seen.id().to_string()).collect();
        assert_eq!(ids.len(), 3);
    });
}

#[test]
fn a_question_without_an_answer_fails_the_call() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            seen.result(json!({ "resultType": "input_required", "inputRequests": { "a": { "method": "roots/list" } } }))
        });
        let client = connect(&scope, &script, options()).await;
        let error = client.call_tool("t", Value::Null).await.unwrap_err();
        assert!(matches!(&error, ClientError::Question { method, .. } if method == "roots/list"), "{error}");
        assert_eq!(script.count("tools/call"), 1);
    });
}

#[test]
fn dropping_the_call_drops_the_handler() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            seen.result(json!({ "resultType": "input_required", "inputRequests": { "a": elicit("?") } }))
        });
        let alive = Rc::new(());
        let (held, asked) = (Rc::downgrade(&alive), Rc::new(Cell::new(false)));
        let (alive, told) = (RefCell::new(Some(alive)), asked.clone());
        let options = options().on_elicit(move |_| {
            told.set(true);
            let alive = alive.borrow_mut().take();
            async move {
                std::future::pending::<()>().await;
                drop(alive);
                Ok(ElicitReply::Cancel)
            }
        });
        let client = connect(&scope, &script, options).await;
        let until_asked = async {
            while !asked.get() {
                ringmesh::runtime::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let call = async {
            let _ = client.call_tool("t", Value::Null).await;
        };
        futures_lite::future::or(call, until_asked).await;
        assert!(held.upgrade().is_none());
    });
}
