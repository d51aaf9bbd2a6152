//! Prompts: listed, and got with their arguments.

use std::collections::BTreeMap;

use ringmesh::mcp::{
    CallError, Content, Context, Dispatcher, Icon, McpOptions, Prompt, PromptArgument, PromptMessage,
    PromptReply, Registry,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Got, MODERN, REVISIONS, Server};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Tone {
    Dry,
    Warm,
}

#[derive(Deserialize, JsonSchema)]
struct Review {
    /// The code to review
    code: String,
    /// How often
    times: u32,
    tone: Option<Tone>,
}

fn registry() -> Registry {
    let review = Prompt::new("review", "Asks for a review", |review: Review, _: Context| async move {
        let tone = match review.tone {
            Some(Tone::Dry) => "dryly",
            Some(Tone::Warm) => "warmly",
            None => "somehow",
        };
        Ok(format!("{} times {tone}: {}", review.times, review.code))
    });
    let review = review.title("Review").icon(Icon::new("data:image/png;base64,AA==")).meta("k", 1);
    let arguments = [
        PromptArgument::new("first").title("First").description("The first").required(),
        PromptArgument::new("second"),
    ];
    let raw = Prompt::raw("raw", "", arguments, |given: BTreeMap<String, String>, _: Context| async move {
        let image = PromptMessage::assistant(Content::image(b"x", "image/png"));
        let reply = PromptReply::new([PromptMessage::user(Content::text(format!("{given:?}"))), image]);
        Ok(reply.description("Told apart").meta("m", true))
    });
    let fails = Prompt::raw("fails", "", [], |_, _: Context| async {
        Err::<String, _>(CallError::failed_with(ringmesh::mcp::Reply::blocks([
            Content::text("one"),
            Content::image(b"", "image/png"),
            Content::text("two"),
        ])))
    });
    let all = Prompt::raw("all", "Every block", [], |_, _: Context| async {
        Ok(vec![
            PromptMessage::user(Content::audio(b"abc", "audio/wav")),
            PromptMessage::user(Content::resource_link("test://a", "a")),
            PromptMessage::user(Content::resource_text("test://b", "text/plain", "b")),
        ])
    });
    Registry::new().prompt(review).prompt(raw).prompt(fails).prompt(all)
}

fn get(server: &Server, name: &str, arguments: Value) -> Got {
    server.modern("prompts/get", json!({"name": name, "arguments": arguments}))
}

#[test]
fn prompts_are_listed_with_their_arguments() {
    let got = Server::new(registry()).modern("prompts/list", json!({}));
    assert!(got.result()["ttlMs"].is_u64() && got.result()["cacheScope"] == "public");
    let expected = json!({
        "name": "review", "title": "Review", "description": "Asks for a review",
        "arguments": [
            {"name": "code", "description": "The code to review", "required": true},
            {"name": "times", "description": "How often", "required": true},
            {"name": "tone", "required": false}
        ],
        "icons": [{"src": "data:image/png;base64,AA=="}],
        "_meta": {"k": 1}
    });
    assert_eq!(got.result()["prompts"][0], expected);
    let expected = json!({"name": "raw", "arguments": [
        {"name": "first", "title": "First", "description": "The first", "required": true},
        {"name": "second", "required": false}]});
    assert_eq!(got.result()["prompts"][1], expected);
}

#[test]
fn a_prompt_answers_with_messages() {
    let server = Server::new(registry());
    let got = get(&server, "review", json!({"code": "x = 1", "times": "2", "tone": "dry"}));
    let result = got.result();
    let message = json!({"role": "user", "content": {"type": "text", "text": "2 times dryly: x = 1"}});
    assert_eq!(
        (&result["messages"], &result["description"]),
        (&json!([message]), &json!("Asks for a review"))
    );
    assert_eq!(result["resultType"], "complete");
    assert!(result.get("ttlMs").is_none(), "what a prompt answers is not to be kept");
    assert_eq!(got.label.method.as_str(), "prompts/get");
    let got = get(&server, "raw", json!({"first": "1", "third": "3", "second": null}));
    let result = got.result();
    assert_eq!(result["messages"][0]["content"]["text"], r#"{"first": "1"}"#);
    assert_eq!(
        result["messages"][1],
        json!({"role": "assistant",
        "content": {"type": "image", "data": "eA==", "mimeType": "image/png"}})
    );
    assert_eq!((&result["description"], &result["_meta"]["m"]), (&json!("Told apart"), &json!(true)));
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let server = Server::new(registry());
    let got = get(&server, "nope", json!({}));
    assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("unknown_prompt")));
    assert_eq!(got.message(), "Unknown prompt: nope");
    let refused = |params: Value, expected: &str| {
        let got = server.modern("prompts/get", params);
        assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("invalid_params")));
        assert!(got.message().contains(expected), "{}", got.message());
    };
    let review = |arguments: Value| json!({"name": "review", "arguments": arguments});
    refused(json!({}), "params.name is required");
    refused(json!({"name": 7}), "params.name is required");
    refused(json!({"name": "review"}), "the prompt review requires the arguments it lacks: code, times");
    refused(review(json!({"code": ""})), "it lacks: times");
    refused(review(json!({"code": null, "times": "1"})), "it lacks: code");
    refused(review(json!([])), "params.arguments must be an object of strings");
    refused(review(json!("x")), "params.arguments must be an object of strings");
    refused(review(json!({"code": 7, "times": "1"})), "\"code\" is none");
    refused(review(json!({"code": "", "times": "x"})), "of the prompt review: `times` must be an integer");
    refused(review(json!({"code": "", "times": "1", "tone": "loud"})), "`tone`: unknown variant `loud`");
    for version in &REVISIONS[1..] {
        let session = server.open(version);
        let got = server.legacy(&session, "prompts/get", json!({"name": "review", "arguments": {}}));
        assert_eq!((got.status, got.code()), (200, -32602), "{version}");
        assert_eq!(server.legacy(&session, "prompts/get", json!({"name": "nope"})).code(), -32602);
    }
}

#[test]
fn a_failure_is_an_error_with_its_texts() {
    let got = get(&Server::new(registry()), "fails", json!({}));
    assert_eq!((got.status, got.code(), got.message()), (200, -32603, "one\ntwo"));
}

#[test]
fn older_clients_get_the_fields_and_blocks_they_know() {
    let server = Server::new(registry());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    for (version, prompt, argument, blocks) in [
        (
            MODERN,
            "_meta arguments description icons name title",
            "description name required title",
            "audio resource_link resource",
        ),
        (
            "2025-11-25",
            "_meta arguments description icons name title",
            "description name required title",
            "audio resource_link resource",
        ),
        (
            "2025-06-18",
            "_meta arguments description name title",
            "description name required title",
            "audio resource_link resource",
        ),
        ("2025-03-26", "arguments description name", "description name required", "audio text resource"),
        ("2024-11-05", "arguments description name", "description name required", "text text resource"),
    ] {
        let ask = |method: &str, params: Value| match version {
            MODERN => server.modern(method, params),
            version => server.legacy(&server.open(version), method, params),
        };
        let list = ask("prompts/list", json!({}));
        assert_eq!(keys(&list.result()["prompts"][0]), prompt, "{version}");
        assert_eq!(keys(&list.result()["prompts"][1]["arguments"][0]), argument, "{version}");
        let got = ask("prompts/get", json!({"name": "all"}));
        let messages = got.result()["messages"].as_array().unwrap();
        let kinds: Vec<_> =
            messages.iter().map(|message| message["content"]["type"].as_str().unwrap()).collect();
        assert_eq!(kinds.join(" "), blocks, "{version}");
    }
}

#[test]
fn mistakes_are_refused_with_the_rule() {
    let error = |prompt: Prompt| {
        Dispatcher::new(Registry::new().prompt(prompt), McpOptions::default()).unwrap_err().to_string()
    };
    let raw = |name: &str, arguments: Vec<PromptArgument>| {
        Prompt::raw(name, "", arguments, |_: BTreeMap<String, String>, _: Context| async { Ok("") })
    };
    assert!(error(raw("", vec![])).contains("1 to 128"));
    assert!(error(raw("p", vec![PromptArgument::new("a\n")])).contains("control characters"));
    let twice = vec![PromptArgument::new("a"), PromptArgument::new("a")];
    assert_eq!(error(raw("p", twice)), "the prompt p has the argument a twice");
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Nested {
        list: Vec<String>,
    }
    let nested = Prompt::new("p", "", |_: Nested, _: Context| async { Ok("") });
    assert_eq!(
        error(nested),
        "the prompt p has the argument list, which is no text, number, flag or plain enum"
    );
    assert!(error(raw("p", vec![]).icon(Icon::new("http://example.com"))).contains("https:"));
    let completed = raw("p", vec![]).complete("b", |_, _: Context| async { Ok(vec![String::new()]) });
    assert!(error(completed).contains("completes \"b\""));
}
