//! What an older server asks and tells on its streams.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringmesh::client::{Change, ElicitMode, ElicitReply, ProtocolError, Root, SampleReply};
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

use super::script::{Answer, Feed, Script, Seen, Step};
use super::{connect, options, run};

/// A server whose calls are answered with these steps and then the result, after the answers had time to arrive.
fn asking(steps: Vec<Step>) -> Rc<Script> {
    Script::old(move |seen| match seen.method() {
        "tools/call" => {
            let end = [Step::Pause(60), seen.last(json!({ "content": [] }))];
            Answer::Events(steps.iter().cloned().chain(end).collect())
        }
        "GET" => Answer::status(405),
        _ => Answer::status(202),
    })
}

fn answers(script: &Script) -> Vec<Seen> {
    let mut answers = script.sent("(response)");
    answers.sort_by_key(|seen| seen.id().to_string());
    answers
}

#[test]
fn questions_on_a_stream_are_answered_by_messages_of_their_own() {
    run(|scope| async move {
        let schema =
            json!({ "type": "object", "properties": { "age": { "type": "integer", "default": 30 } } });
        let script = asking(vec![
            Step::ask("1", "ping", json!({})),
            Step::ask("2", "elicitation/create", json!({ "message": "form", "requestedSchema": schema })),
            Step::ask(
                "3",
                "elicitation/create",
                json!({ "mode": "url", "message": "page", "url": "https://x.test", "elicitationId": "e" }),
            ),
            Step::ask("4", "sampling/createMessage", json!({ "messages": [], "maxTokens": 1 })),
            Step::ask("5", "roots/list", Value::Null),
            Step::ask("6", "tasks/dance", json!({})),
            Step::ask("7", "sampling/createMessage", json!({ "messages": [], "maxTokens": 1, "tools": [] })),
        ]);
        let options = options()
            .on_elicit(|request| async move {
                Ok(match request.mode {
                    ElicitMode::Form { .. } => ElicitReply::accept([]),
                    ElicitMode::Url { id, .. } => {
                        assert_eq!(id.as_deref(), Some("e"));
                        ElicitReply::Decline
                    }
                })
            })
            .elicit_modes(true, true)
            .on_sample(|_| async { Ok(SampleReply::text("m", "hi")) })
            .on_roots(|| async { Ok(vec![Root { uri: "file:///r".into(), name: Some("r".into()) }]) });
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", Value::Null).await.unwrap();
        let answers = answers(&script);
        let bodies: Vec<Value> = answers.iter().map(|seen| seen.body.clone()).collect();
        assert_eq!(bodies[0]["result"], json!({}));
        assert_eq!(bodies[1]["result"], json!({ "action": "accept", "content": { "age": 30 } }));
        assert_eq!(bodies[2]["result"], json!({ "action": "decline" }));
        assert_eq!(bodies[3]["result"]["content"]["text"], "hi");
        assert_eq!(bodies[4]["result"], json!({ "roots": [{ "uri": "file:///r", "name": "r" }] }));
        assert_eq!(
            (&bodies[5]["error"]["code"], &bodies[6]["error"]["code"]),
            (&json!(-32601), &json!(-32602))
        );
        for seen in answers {
            assert_eq!(seen.outgoing.head.session_id.as_deref(), Some("session-1"));
            assert_eq!(seen.outgoing.head.protocol_version.as_deref(), Some("2025-11-25"));
        }
    });
}

#[test]
fn a_slow_answer_holds_up_neither_others_nor_the_time_out() {
    run(|scope| async move {
        let script = Script::old(|seen| match seen.method() {
            "tools/call" => Answer::Events(vec![
                Step::ask("slow", "roots/list", json!({})),
                Step::ask("quick", "ping", json!({})),
                Step::Pause(250),
                seen.last(json!({ "content": [] })),
            ]),
            "GET" => Answer::status(405),
            _ => Answer::status(202),
        });
        let mut options = options().on_roots(|| async {
            sleep(Duration::from_millis(200)).await;
            Ok(Vec::new())
        });
        options.request_timeout = Duration::from_millis(100);
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", Value::Null).await.unwrap();
        let order: Vec<Value> = script.sent("(response)").iter().map(Seen::id).collect();
        assert_eq!(order, ["quick", "slow"]);
    });
}

#[test]
fn a_question_on_the_sessions_stream_holds_the_time_out_of_its_call() {
    run(|scope| async move {
        let feed = Rc::new(Feed::default());
        let stream = feed.clone();
        let script = Script::old(move |seen| match seen.method() {
            "GET" => Answer::Feed(stream.clone()),
            "tools/call" => {
                stream.push(Step::ask("slow", "roots/list", json!({})));
                Answer::Events(vec![Step::Pause(250), seen.last(json!({ "content": [] }))])
            }
            _ => Answer::status(202),
        });
        let mut options = options().on_roots(|| async {
            sleep(Duration::from_millis(200)).await;
            Ok(Vec::new())
        });
        options.request_timeout = Duration::from_millis(100);
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(script.count("(response)"), 1);
    });
}

#[test]
fn a_flood_of_questions_is_bounded() {
    run(|scope| async move {
        let script = asking((0..20).map(|n| Step::ask(&n.to_string(), "roots/list", json!({}))).collect());
        let mut options = options().on_roots(|| async {
            sleep(Duration::from_millis(30)).await;
            Err(ProtocolError::new(-1, "enough"))
        });
        options.limits.max_questions = 3;
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", Value::Null).await.unwrap();
        let codes: Vec<Value> =
            script.sent("(response)").iter().map(|seen| seen.body["error"]["code"].clone()).collect();
        assert!(codes.len() < 20, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == json!(-1)).count(), 3, "{codes:?}");
        assert!(codes.contains(&json!(-32603)));
    });
}

#[test]
fn a_question_that_is_taken_back_is_not_answered() {
    run(|scope| async move {
        let script = asking(vec![
            Step::ask("q", "roots/list", json!({})),
            Step::Pause(5),
            Step::note("notifications/cancelled", json!({ "requestId": "q" })),
        ]);
        let options = options().on_roots(|| async {
            sleep(Duration::from_millis(20)).await;
            Ok(Vec::new())
        });
        let client = connect(&scope, &script, options).await;
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(script.count("(response)"), 0);
    });
}

#[test]
fn a_server_of_the_new_era_gets_no_answer_to_a_request() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            Answer::Events(vec![Step::ask("1", "ping", json!({})), seen.last(json!({ "content": [] }))])
        });
        let client = connect(&scope, &script, options()).await;
        client.call_tool("t", Value::Null).await.unwrap();
        assert_eq!(script.methods(), ["server/discover", "tools/call"]);
    });
}

#[test]
fn questions_outside_of_requests_come_on_the_sessions_stream() {
    run(|scope| async move {
        let feed = Rc::new(Feed::default());
        let stream = feed.clone();
        let script = Script::old(move |seen| match seen.method() {
            "GET" => Answer::Feed(stream.clone()),
            _ => Answer::status(202),
        });
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (logs, changes) = (heard.clone(), heard.clone());
        let options = options()
            .on_roots(|| async { Ok(Vec::new()) })
            .on_log(move |message| {
                logs.borrow_mut().push(format!("{:?} {}", message.level.unwrap(), message.data))
            })
            .on_change(move |change| changes.borrow_mut().push(format!("{change:?}")));
        let client = connect(&scope, &script, options).await;
        feed.push(Step::ask("out of the blue", "roots/list", json!({})));
        feed.push(Step::note("notifications/message", json!({ "level": "error", "data": 7 })));
        feed.push(Step::note("notifications/prompts/list_changed", json!({})));
        script.until("(response)", 1).await;
        while heard.borrow().len() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*heard.borrow(), ["Error 7".to_owned(), format!("{:?}", Change::Prompts)]);
        assert_eq!(script.sent("(response)")[0].id(), "out of the blue");
        drop(client);
    });
}

#[test]
fn changed_roots_are_told_to_older_servers_alone() {
    run(|scope| async move {
        let old = Script::old(
            |seen| if seen.method() == "GET" { Answer::status(405) } else { Answer::status(202) },
        );
        let with_roots = || options().on_roots(|| async { Ok(Vec::new()) });
        connect(&scope, &old, with_roots()).await.roots_changed().await.unwrap();
        assert_eq!(old.count("notifications/roots/list_changed"), 1);
        let new = Script::modern(|_| Answer::status(400));
        connect(&scope, &new, with_roots()).await.roots_changed().await.unwrap();
        assert_eq!(new.methods(), ["server/discover"]);
    });
}
