//! 2026-07-28: a handler that asks is run again with the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringmesh::mcp::{Content, Context, ElicitAction, Elicitation, Question, Registry, Role, Sampling, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::support::{Got, Server, modern};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

pub(crate) const ALL: &str = r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#;

/// Calls a tool as a client that declared `capabilities`; `more` are further parameters.
pub(crate) fn call_as(server: &Server, capabilities: &str, tool: &str, more: Value) -> Got {
    let mut params = json!({
        "name": tool,
        "_meta": {"io.modelcontextprotocol/clientCapabilities": serde_json::from_str::<Value>(capabilities).unwrap()}
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (headers, body) = modern("tools/call", params);
    server.post(&headers, body.to_string())
}

/// Calls a tool as a client that can be asked everything.
pub(crate) fn call(server: &Server, tool: &str, more: Value) -> Got {
    call_as(server, ALL, tool, more)
}

/// The state of a result that wants input, and the keys it asks for.
pub(crate) fn asked(got: &Got) -> (String, Vec<String>) {
    let result = got.result();
    assert_eq!(result["resultType"], "input_required", "{}", got.text);
    for absent in ["ttlMs", "cacheScope", "content", "isError"] {
        assert!(result.get(absent).is_none(), "{absent} in {}", got.text);
    }
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"].is_object(), "{}", got.text);
    let keys = result["inputRequests"].as_object().unwrap().keys().cloned().collect();
    (result["requestState"].as_str().unwrap().to_owned(), keys)
}

pub(crate) fn name_is(name: &str) -> Value {
    json!({"action": "accept", "content": {"name": name}})
}

/// Asks for a name, counting how often it runs.
fn greets(runs: &Arc<AtomicUsize>) -> Registry {
    let runs = runs.clone();
    Registry::new().tool("greet", "Greets", move |_: Nothing, context: Context| {
        let runs = runs.clone();
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            let answer = context.elicit("name", Elicitation::typed::<Name>("Who are you?")).await?;
            Ok(format!("Hello, {}", answer.read::<Name>()?.name))
        }
    })
}

#[test]
fn a_question_ends_the_run_and_an_answer_starts_the_next() {
    let runs = Arc::new(AtomicUsize::new(0));
    let server = Server::new(greets(&runs));
    let first = call(&server, "greet", json!({}));
    let (state, keys) = asked(&first);
    assert_eq!(keys, ["name"]);
    let request = &first.result()["inputRequests"]["name"];
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"]["mode"], "form");
    assert_eq!(request["params"]["message"], "Who are you?");
    assert_eq!(request["params"]["requestedSchema"]["properties"]["name"]["type"], "string");
    let second =
        call(&server, "greet", json!({"requestState": state, "inputResponses": {"name": name_is("Ada")}}));
    assert_eq!(second.content(), "Hello, Ada");
    assert_eq!(second.result()["resultType"], "complete");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn missing_and_malformed_answers_are_asked_for_again_and_extra_ones_ignored() {
    let server = Server::new(greets(&Arc::default()));
    let (state, _) = asked(&call(&server, "greet", json!({})));
    for responses in [
        json!({}),
        json!({"other": name_is("Ada")}),
        json!({"name": 12345}),
        json!({"name": null}),
        json!({"name": {"action": "perhaps"}}),
        json!({"name": {"action": "accept", "content": {"name": 5}}}),
        json!({"name": {"action": "accept"}}),
        json!({"name": ["accept"]}),
    ] {
        let again = call(&server, "greet", json!({"requestState": state, "inputResponses": responses}));
        assert_eq!(asked(&again).1, ["name"], "{responses}");
    }
    let extra = json!({"name": name_is("Ada"), "other": 1, "more": {"action": "accept"}});
    let got = call(&server, "greet", json!({"requestState": state, "inputResponses": extra}));
    assert_eq!(got.content(), "Hello, Ada");
    let early = call(&server, "greet", json!({"inputResponses": {"name": name_is("Ada")}}));
    assert_eq!(early.content(), "Hello, Ada", "an answer to a question that is certain to come");
}

#[test]
fn the_form_of_what_comes_back_is_checked() {
    let server = Server::new(greets(&Arc::default()));
    for more in [
        json!({"inputResponses": null}),
        json!({"inputResponses": []}),
        json!({"inputResponses": "x"}),
        json!({"requestState": null}),
        json!({"requestState": 5}),
        json!({"requestState": ""}),
        json!({"requestState": "AAAA"}),
    ] {
        let got = call(&server, "greet", more.clone());
        assert_eq!((got.status, got.code()), (400, -32602), "{more}");
    }
}

#[test]
fn declining_is_an_answer() {
    let server = Server::new(Registry::new().tool("ask", "", |_: Nothing, context: Context| async move {
        let answer = context.elicit("k", Elicitation::typed::<Name>("?")).await?;
        Ok(match answer.action {
            ElicitAction::Accept => "accepted",
            ElicitAction::Decline => "declined",
            ElicitAction::Cancel => "cancelled",
        })
    }));
    for (action, text) in [("decline", "declined"), ("cancel", "cancelled")] {
        let got = call(&server, "ask", json!({"inputResponses": {"k": {"action": action}}}));
        assert_eq!(got.content(), text);
    }
    let greeting = Server::new(greets(&Arc::default()));
    let got = call(&greeting, "greet", json!({"inputResponses": {"name": {"action": "decline"}}}));
    assert!(got.is_error() && got.content().contains("declined"));
}

fn capital() -> Sampling {
    Sampling::new(20).message(Role::User, Content::text("The capital of France?"))
}

#[test]
fn several_questions_go_out_together_and_answers_may_come_one_by_one() {
    let registry = Registry::new()
        .tool("all", "", |_: Nothing, context: Context| async move {
            let answers = context
                .ask_all([
                    ("name", Question::from(Elicitation::typed::<Name>("?"))),
                    ("capital", capital().into()),
                    ("roots", Question::roots()),
                ])
                .await?;
            let name = answers.elicited("name")?.read::<Name>()?.name;
            Ok(format!("{name} {} {}", answers.sampled("capital")?.text(), answers.roots("roots")?.len()))
        })
        .tool("join", "", |_: Nothing, context: Context| async move {
            let (name, capital) = futures_lite::future::zip(
                context.elicit("name", Elicitation::typed::<Name>("?")),
                context.sample("capital", capital()),
            )
            .await;
            let roots = context.roots("roots").await?;
            Ok(format!("{} {} {}", name?.read::<Name>()?.name, capital?.text(), roots.len()))
        });
    let server = Server::new(registry);
    let paris = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}});
    let roots = json!({"roots": [{"uri": "file:///a"}]});

    let first = call(&server, "all", json!({}));
    let (state, keys) = asked(&first);
    assert_eq!(keys, ["capital", "name", "roots"]);
    assert_eq!(first.result()["inputRequests"]["roots"], json!({"method": "roots/list"}));
    let some = json!({"roots": roots, "name": name_is("Ada")});
    let (state, keys) = asked(&call(&server, "all", json!({"requestState": state, "inputResponses": some})));
    assert_eq!(keys, ["capital"]);
    let rest = json!({"capital": paris, "name": name_is("Eve")});
    let got = call(&server, "all", json!({"requestState": state, "inputResponses": rest}));
    assert_eq!(got.content(), "Ada Paris 1", "what was answered before stays");

    let (state, keys) = asked(&call(&server, "join", json!({})));
    assert_eq!(keys, ["capital", "name"]);
    let both = json!({"capital": paris, "name": name_is("Ada")});
    let (state, keys) = asked(&call(&server, "join", json!({"requestState": state, "inputResponses": both})));
    assert_eq!(keys, ["roots"]);
    let got = call(&server, "join", json!({"requestState": state, "inputResponses": {"roots": roots}}));
    assert_eq!(got.content(), "Ada Paris 1");
}

#[test]
fn only_what_the_client_declared_is_asked() {
    let registry = Registry::new()
        .tool("form", "", |_: Nothing, context: Context| async move {
            context.elicit("k", Elicitation::typed::<Name>("?")).await.map(|_| ())
        })
        .tool("url", "", |_: Nothing, context: Context| async move {
            context.elicit("k", Elicitation::url("?", "https://a.example")).await.map(|_| ())
        })
        .tool("both", "", |_: Nothing, context: Context| async move {
            let model = Question::from(capital());
            context.ask_all([("a", Question::roots()), ("b", model)]).await.map(|_| ())
        })
        .tool("late", "", |_: Nothing, context: Context| async move {
            context.progress(1.0, None, None).await;
            context.roots("k").await.map(|_| ())
        });
    let server = Server::new(registry);
    for (tool, capabilities, needed) in [
        ("form", "{}", json!({"elicitation": {}})),
        ("form", r#"{"elicitation":{"url":{}}}"#, json!({"elicitation": {}})),
        ("url", r#"{"elicitation":{}}"#, json!({"elicitation": {"url": {}}})),
        ("both", r#"{"elicitation":{}}"#, json!({"roots": {}, "sampling": {}})),
        ("both", r#"{"roots":{}}"#, json!({"sampling": {}})),
    ] {
        let got = call_as(&server, capabilities, tool, json!({}));
        assert_eq!((got.status, got.code()), (400, -32021), "{tool} {capabilities}");
        assert_eq!(got.body()["error"]["data"]["requiredCapabilities"], needed, "{tool} {capabilities}");
    }
    let answered = json!({"inputResponses": {"k": {"action": "cancel"}}});
    assert!(!call_as(&server, "{}", "form", answered).is_error(), "nothing is left to ask");
    let meta = json!({"_meta": {"io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1}});
    let late = call_as(&server, "{}", "late", meta);
    assert_eq!((late.events.len(), late.code()), (1, -32021));
}

#[test]
fn a_blocking_tool_passes_the_question_on() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let ask = move |_: Nothing, context: Context| {
        counted.fetch_add(1, Ordering::SeqCst);
        let name = futures_lite::future::block_on(context.elicit("name", Elicitation::typed::<Name>("?")))?;
        Ok(name.read::<Name>()?.name)
    };
    let server = super::support::with_pool(Registry::new().with(Tool::blocking("ask", "", ask)));
    let (state, _) = asked(&call(&server, "ask", json!({})));
    let got =
        call(&server, "ask", json!({"requestState": state, "inputResponses": {"name": name_is("Ada")}}));
    assert_eq!(got.content(), "Ada");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}
