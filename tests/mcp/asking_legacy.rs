//! The revisions before 2026-07-28: a question is a request on the call's stream, answered by a POST of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringmesh::mcp::{
    Call, CallError, Capability, Content, Context, Elicitation, Question, Registry, Role, Sampling,
    SamplingTool, Tool, ToolChoice,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::asking_modern::{ALL, name_is};
use super::support::{self, Headers, Server, finish, poll_pending, take_events};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

/// Opens a session as a client that declared `capabilities`.
fn open(server: &Server, version: &str, capabilities: &str) -> Headers {
    let mut initialize = support::initialize(version);
    initialize["params"]["capabilities"] = serde_json::from_str(capabilities).unwrap();
    let got = server.post(&Headers::json(), initialize.to_string());
    let version = got.result()["protocolVersion"].as_str().map(str::to_owned);
    Headers { session: got.session, version, ..Headers::json() }
}

fn start(server: &Server, session: &Headers, id: u64, tool: &str) -> Call {
    let request = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    server.start(session, request.to_string()).call()
}

/// Polls a call up to its questions, which come as events.
fn questions(call: &mut Call) -> Vec<Value> {
    poll_pending(call);
    let mut events = Vec::new();
    take_events(call, &mut events);
    poll_pending(call);
    events
}

fn answer(server: &Server, session: &Headers, message: Value) {
    let got = server.post(session, message.to_string());
    assert_eq!((got.status, &got.body), (202, &None), "{}", got.text);
}

fn result(question: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": question["id"], "result": result})
}

fn greeter() -> Registry {
    Registry::new().tool("greet", "Greets", |_: Nothing, context: Context| async move {
        let answer = context.elicit("name", Elicitation::typed::<Name>("Who are you?")).await?;
        Ok(format!("Hello, {}", answer.read::<Name>()?.name))
    })
}

#[test]
fn a_question_is_a_request_and_its_answer_may_come_on_any_core() {
    let server = Server::new(greeter());
    let session = open(&server, "2025-11-25", ALL);
    let mut call = start(&server, &session, 7, "greet");
    let asked = questions(&mut call);
    assert_eq!((asked.len(), &asked[0]["method"]), (1, &json!("elicitation/create")));
    assert_eq!((&asked[0]["jsonrpc"], &asked[0]["params"]["mode"]), (&json!("2.0"), &json!("form")));
    assert!(call.is_asking());
    // Another core has a dispatcher of its own and is another thread.
    let other = Server { dispatcher: server.dispatcher.clone(), now: server.now };
    let (reply, headers) = (result(&asked[0], name_is("Ada")), session.clone());
    let answering = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        answer(&other, &headers, reply);
    });
    let got = finish(call);
    assert_eq!(got.content(), "Hello, Ada");
    assert!(got.events.is_empty());
    answering.join().unwrap();
}

#[test]
fn questions_of_one_session_have_ids_of_their_own() {
    let server = Server::new(Registry::new().tool("two", "", |_: Nothing, context: Context| async move {
        let questions = [("a", Question::roots()), ("b", Elicitation::typed::<Name>("?").into())];
        let answers = context.ask_all(questions).await?;
        Ok(format!("{} {}", answers.roots("a")?[0].uri, answers.elicited("b")?.read::<Name>()?.name))
    }));
    let session = open(&server, "2025-11-25", ALL);
    let (mut one, mut two) = (start(&server, &session, 1, "two"), start(&server, &session, 2, "two"));
    let mut asked = questions(&mut one);
    asked.extend(questions(&mut two));
    let ids: std::collections::BTreeSet<_> =
        asked.iter().map(|question| question["id"].as_u64().unwrap()).collect();
    assert_eq!((asked.len(), ids.len()), (4, 4));
    // Answered in any order, each reaches its own call.
    answer(&server, &session, result(&asked[3], name_is("second")));
    answer(&server, &session, result(&asked[0], json!({"roots": [{"uri": "file:///first"}]})));
    answer(&server, &session, result(&asked[1], name_is("first")));
    answer(&server, &session, result(&asked[2], json!({"roots": [{"uri": "file:///second"}]})));
    assert_eq!(finish(two).content(), "file:///second second");
    assert_eq!(finish(one).content(), "file:///first first");
}

#[test]
fn unknown_late_and_second_answers_are_accepted_and_dropped() {
    let server = Server::new(greeter());
    let session = open(&server, "2025-11-25", ALL);
    let mut call = start(&server, &session, 1, "greet");
    let asked = questions(&mut call);
    answer(&server, &session, json!({"jsonrpc": "2.0", "id": 99, "result": name_is("Eve")}));
    answer(&server, &session, json!({"jsonrpc": "2.0", "id": "1", "result": name_is("Eve")}));
    answer(&server, &session, json!({"jsonrpc": "2.0", "id": -1, "result": name_is("Eve")}));
    answer(&server, &session, json!({"jsonrpc": "2.0", "result": name_is("Eve")}));
    answer(&server, &session, result(&asked[0], name_is("Ada")));
    answer(&server, &session, result(&asked[0], name_is("Eve")));
    assert_eq!(finish(call).content(), "Hello, Ada");
    answer(&server, &session, result(&asked[0], name_is("Eve")));
}

#[test]
fn another_session_cannot_answer() {
    let server = Server::new(greeter());
    let (session, other) = (open(&server, "2025-11-25", ALL), open(&server, "2025-11-25", ALL));
    let mut call = start(&server, &session, 1, "greet");
    let asked = questions(&mut call);
    answer(&server, &other, result(&asked[0], name_is("Eve")));
    poll_pending(&mut call);
    answer(&server, &session, result(&asked[0], name_is("Ada")));
    assert_eq!(finish(call).content(), "Hello, Ada");
}

#[test]
fn errors_and_answers_that_do_not_fit_are_failures_that_say_so() {
    let server = Server::new(greeter());
    let session = open(&server, "2025-11-25", ALL);
    let error = json!({"error": {"code": -1, "message": "The user said no"}});
    for (reply, text) in [
        (error, "the error -1: The user said no"),
        (json!({"error": "x"}), "malformed"),
        (json!({"result": 5}), "no object"),
        (json!({"result": {"action": "maybe"}}), "malformed"),
        (json!({"result": {"action": "accept", "content": {"name": 5}}}), "does not fit the form"),
        (json!({"result": {"action": "x".repeat(100_000)}}), "malformed"),
        (json!({"result": {"action": "decline"}}), "declined"),
    ] {
        let mut call = start(&server, &session, 1, "greet");
        let mut message = reply.clone();
        message["jsonrpc"] = "2.0".into();
        message["id"] = questions(&mut call)[0]["id"].clone();
        answer(&server, &session, message);
        let got = finish(call);
        assert!(got.is_error() && got.content().contains(text), "{reply}: {}", got.text);
        assert!(got.text.len() < 500, "it stays short");
    }
}

/// The time of the client's answer is up, long before that of the call, which stands still meanwhile.
fn let_the_question_expire(call: &mut Call) {
    let due = call.expires_at().unwrap();
    let early = due - Duration::from_millis(1);
    let mut out = Vec::new();
    assert!(call.poll_expired(early, &mut out).is_pending() && call.is_asking());
    assert!(call.poll_expired(due, &mut out).is_pending() && out.is_empty());
    assert!(!call.is_asking() || call.expires_at() > Some(due));
}

#[test]
fn a_client_that_does_not_answer_in_time_is_told_and_the_handler_too() {
    let registry = greeter().tool("patient", "", |_: Nothing, context: Context| async move {
        let answer = context.elicit("name", Elicitation::typed::<Name>("?")).await;
        Ok(if answer.is_err() { "went on without" } else { "answered" })
    });
    let server = Server::limited(registry, |limits| limits.client_request_timeout_ms = 1234);
    let session = open(&server, "2025-11-25", ALL);
    let mut call = start(&server, &session, 1, "greet");
    let asked = questions(&mut call);
    let_the_question_expire(&mut call);
    let got = finish(call);
    assert!(got.is_error() && got.content().contains("within 1234 ms"), "{}", got.text);
    assert_eq!(got.error(), Some("client_request_timeout"));
    assert_eq!(got.events[0]["method"], "notifications/cancelled");
    assert_eq!(got.events[0]["params"]["requestId"], asked[0]["id"]);
    answer(&server, &session, result(&asked[0], name_is("late")));
    let mut call = start(&server, &session, 1, "patient");
    questions(&mut call);
    let_the_question_expire(&mut call);
    assert_eq!(finish(call).content(), "went on without");
}

#[test]
fn a_call_that_ends_closes_its_questions() {
    let server = Server::new(greeter());
    let session = open(&server, "2025-11-25", ALL);
    let mut call = start(&server, &session, 5, "greet");
    let asked = questions(&mut call);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
    assert_eq!(server.post(&session, cancel.to_string()).status, 202);
    let got = finish(call);
    assert_eq!(got.error(), Some("cancelled"));
    answer(&server, &session, result(&asked[0], name_is("late")));

    let mut call = start(&server, &session, 6, "greet");
    questions(&mut call);
    assert_eq!(server.delete(&session).status, 204);
    assert_eq!(finish(call).error(), Some("cancelled"));
}

#[test]
fn a_question_that_the_handler_gives_up_is_withdrawn() {
    let server = Server::new(Registry::new().tool("race", "", |_: Nothing, context: Context| async move {
        let question = context.elicit("name", Elicitation::typed::<Name>("?"));
        let mut question = std::pin::pin!(question);
        let once = std::future::poll_fn(|cx| {
            let _ = question.as_mut().poll(cx);
            std::task::Poll::Ready(())
        });
        once.await;
        Ok("no need")
    }));
    let session = open(&server, "2025-11-25", ALL);
    let got = finish(start(&server, &session, 1, "race"));
    let methods: Vec<_> = got.events.iter().map(|event| event["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["elicitation/create", "notifications/cancelled"]);
    assert_eq!(got.content(), "no need");
}

#[test]
fn a_question_that_never_left_is_not_withdrawn() {
    let registry = Registry::new().tool("long", "", |_: Nothing, context: Context| async move {
        context.elicit("name", Elicitation::typed::<Name>("?".repeat(20_000))).await?;
        Ok("asked")
    });
    let server = Server::limited(registry, |limits| limits.max_stream_queue_bytes = 16_384);
    let session = open(&server, "2025-11-25", ALL);
    let got = finish(start(&server, &session, 1, "long"));
    assert_eq!((got.error(), got.events.as_slice()), (Some("internal"), [].as_slice()));
}

#[test]
fn revisions_and_capabilities_decide_what_is_asked() {
    let registry = Registry::new()
        .tool("form", "", |_: Nothing, context: Context| async move {
            context.elicit("k", Elicitation::typed::<Name>("?")).await.map(|_| ())
        })
        .tool("url", "", |_: Nothing, context: Context| async move {
            context.elicit("k", Elicitation::url("?", "https://a.example").id("e1")).await.map(|_| ())
        })
        .tool("tools", "", |_: Nothing, context: Context| async move {
            let sampling = Sampling::new(1)
                .message(Role::User, Content::text("?"))
                .tool(SamplingTool::new("t", "", json!({"type": "object"})))
                .tool_choice(ToolChoice::Auto);
            context.sample("k", sampling).await.map(|_| ())
        });
    let server = Server::new(registry);
    for (version, capabilities, tool, asked) in [
        ("2025-11-25", ALL, "url", true),
        ("2025-11-25", ALL, "tools", true),
        ("2025-06-18", ALL, "form", true),
        ("2025-06-18", ALL, "url", false),
        ("2025-06-18", ALL, "tools", false),
        ("2025-11-25", "{}", "form", false),
        ("2025-11-25", r#"{"sampling":{}}"#, "tools", false),
        ("2025-11-25", r#"{"elicitation":{}}"#, "url", false),
    ] {
        let session = open(&server, version, capabilities);
        let mut call = start(&server, &session, 1, tool);
        if asked {
            let question = questions(&mut call).remove(0);
            let id = question["params"].get("elicitationId");
            assert_eq!(id, (tool == "url").then(|| json!("e1")).as_ref(), "{version} {tool}");
        } else {
            let got = finish(call);
            assert_eq!((got.status, got.code()), (200, -32602), "{version} {capabilities} {tool}");
            assert!(got.body()["error"]["data"]["requiredCapabilities"].is_object());
        }
    }
}

#[test]
fn links_to_follow_first_are_an_error_of_2025_11_25_alone() {
    let registry = Registry::new()
        .tool("locked", "", |_: Nothing, context: Context| async move {
            context.elicitation_complete("e0").await;
            let link = Elicitation::url("Log in", "https://a.example/login").id("e1");
            Err::<(), _>(CallError::url_elicitation_required("Log in first", [link]))
        })
        .tool("wrong", "", |_: Nothing, _: Context| async move {
            Err::<(), _>(CallError::url_elicitation_required("x", []))
        });
    let server = Server::new(registry);
    let session = open(&server, "2025-11-25", ALL);
    let got = finish(start(&server, &session, 1, "locked"));
    assert_eq!((got.code(), got.message()), (-32042, "Log in first"));
    let elicitations = &got.body()["error"]["data"]["elicitations"];
    assert_eq!(
        elicitations[0],
        json!({"mode": "url", "elicitationId": "e1", "url": "https://a.example/login", "message": "Log in"})
    );
    assert_eq!(got.events[0]["method"], "notifications/elicitation/complete");
    assert_eq!(got.events[0]["params"], json!({"elicitationId": "e0"}));
    assert_eq!(finish(start(&server, &session, 1, "wrong")).code(), -32603);

    let older = open(&server, "2025-06-18", ALL);
    let got = finish(start(&server, &older, 1, "locked"));
    assert!(got.is_error() && got.text.contains("https://a.example/login") && got.events.is_empty());
    let incapable = open(&server, "2025-11-25", "{}");
    assert_eq!(finish(start(&server, &incapable, 1, "locked")).error(), Some("missing_capability"));
    let modern = server.call("locked", json!({}));
    assert!(modern.is_error() && modern.text.contains("https://a.example/login"));
}

#[test]
fn a_blocking_tool_waits_on_its_thread_and_once_is_once() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let ask = move |_: Nothing, context: Context| {
        let runs = counted.clone();
        futures_lite::future::block_on(async {
            let effect = || async { Ok::<_, CallError>(runs.fetch_add(1, Ordering::SeqCst)) };
            let first = context.once("effect", effect).await?;
            let name = context.elicit("name", Elicitation::typed::<Name>("?")).await?.read::<Name>()?.name;
            let again = context.elicit("name", Elicitation::typed::<Name>("?")).await?.read::<Name>()?.name;
            assert_eq!((first, context.once("effect", effect).await?), (0, 0));
            Ok(format!("{name} {again}"))
        })
    };
    let server = support::with_pool(Registry::new().with(Tool::blocking("ask", "", ask)));
    let session = open(&server, "2025-11-25", ALL);
    let mut call = start(&server, &session, 1, "ask");
    let mut asked = Vec::new();
    while asked.is_empty() {
        poll_pending(&mut call);
        take_events(&mut call, &mut asked);
    }
    answer(&server, &session, result(&asked[0], name_is("Ada")));
    assert_eq!(finish(call).content(), "Ada Ada", "a key is one question");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn questions_at_once_are_bounded_and_must_fit_the_stream() {
    let registry = Registry::new()
        .tool("many", "", |_: Nothing, context: Context| async move {
            let questions = (0..3).map(|index| (index.to_string(), Question::roots()));
            context.ask_all(questions).await.map(|_| ())
        })
        .tool("large", "", |_: Nothing, context: Context| async move {
            let text = "x".repeat(2000);
            context.elicit("k", Elicitation::url(text, "https://a.example")).await.map(|_| ())
        });
    let server = Server::limited(registry, |limits| {
        limits.max_questions = 2;
        limits.max_stream_queue_bytes = 1024;
    });
    let session = open(&server, "2025-11-25", ALL);
    let got = finish(start(&server, &session, 1, "many"));
    assert_eq!((got.code(), got.error()), (-32603, Some("too_many_questions")));
    assert!(got.message().contains("max_questions"), "{}", got.text);
    assert_eq!(finish(start(&server, &session, 1, "large")).code(), -32603);
    let modern = super::asking_modern::call(&server, "many", json!({}));
    assert_eq!((modern.code(), modern.error()), (-32603, Some("too_many_questions")));
    assert!(!Capability::Roots.required().is_empty());
}
