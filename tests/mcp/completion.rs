//! Completion of the arguments of prompts and the variables of templates.

use std::collections::BTreeMap;

use ringmesh::mcp::{
    CallError, Completion, CompletionRequest, Context, Prompt, PromptArgument, Registry, Resource,
    ResourceTemplate,
};
use serde_json::{Value, json};

use crate::support::{Got, REVISIONS, Server};

fn registry() -> Registry {
    let arguments =
        [PromptArgument::new("language"), PromptArgument::new("framework"), PromptArgument::new("x")];
    let prompt =
        Prompt::raw("review", "", arguments, |_: BTreeMap<String, String>, _: Context| async { Ok("") });
    let prompt = prompt
        .complete("language", |request: CompletionRequest, _: Context| async move {
            Ok(Completion::starting_with(&request.value, ["python", "pytorch", "rust"]))
        })
        .complete("framework", |request: CompletionRequest, context: Context| async move {
            let language = request.context.get("language").cloned();
            Ok(vec![format!("{language:?} {} {}", context.name(), request.argument)])
        });
    let many =
        ResourceTemplate::new("db://{table}/{id}", "row", |_: BTreeMap<String, String>, _: Context| async {
            Ok("")
        });
    let many = many
        .complete("table", |_, _: Context| async { Ok((0..250).map(|n| n.to_string()).collect::<Vec<_>>()) })
        .complete("id", |_, _: Context| async { Err::<Completion, _>(CallError::failed("no ids now")) });
    Registry::new().prompt(prompt).resource_template(many).resource(Resource::text("db://one", "one", ""))
}

fn complete(server: &Server, reference: Value, argument: &str, value: &str) -> Got {
    let argument = json!({"name": argument, "value": value});
    server.modern("completion/complete", json!({"ref": reference, "argument": argument}))
}

fn prompt() -> Value {
    json!({"type": "ref/prompt", "name": "review"})
}

fn template() -> Value {
    json!({"type": "ref/resource", "uri": "db://{table}/{id}"})
}

#[test]
fn arguments_are_completed_in_every_revision() {
    let server = Server::new(registry());
    let got = complete(&server, prompt(), "language", "py");
    assert_eq!(got.result()["completion"], json!({"values": ["python", "pytorch"]}));
    assert_eq!(
        (&got.result()["resultType"], got.label.method.as_str()),
        (&json!("complete"), "completion/complete")
    );
    for version in &REVISIONS[1..] {
        let argument = json!({"name": "language", "value": "r"});
        let params = json!({"ref": prompt(), "argument": argument});
        let got = server.legacy(&server.open(version), "completion/complete", params);
        assert_eq!(*got.result(), json!({"completion": {"values": ["rust"]}}), "{version}");
    }
    assert_eq!(complete(&server, prompt(), "x", "").result()["completion"], json!({"values": []}));
}

#[test]
fn at_most_a_hundred_values_go_out_and_the_rest_is_counted() {
    let got = complete(&Server::new(registry()), template(), "table", "");
    let completion = &got.result()["completion"];
    assert_eq!(completion["values"].as_array().unwrap().len(), 100);
    assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(250), &json!(true)));
}

#[test]
fn a_template_is_named_by_its_text_or_by_a_uri_that_it_makes() {
    let server = Server::new(registry());
    let by_uri = json!({"type": "ref/resource", "uri": "db://users/7"});
    assert_eq!(complete(&server, by_uri, "table", "").status, 200);
    for unknown in ["db://{table}", "db://one", "test://x"] {
        let got = complete(&server, json!({"type": "ref/resource", "uri": unknown}), "table", "");
        assert_eq!((got.status, got.code()), (400, -32602), "{unknown}");
        assert!(got.message().contains("no resource template"), "{}", got.message());
    }
}

#[test]
fn the_other_arguments_are_known_from_2025_06_18_on() {
    let server = Server::new(registry());
    let params = json!({"ref": prompt(), "argument": {"name": "framework", "value": ""},
        "context": {"arguments": {"language": "python"}}});
    let told = "Some(\"python\") review framework";
    assert_eq!(
        server.modern("completion/complete", params.clone()).result()["completion"]["values"][0],
        told
    );
    for (version, expected) in [
        ("2025-06-18", told),
        ("2025-03-26", "None review framework"),
        ("2024-11-05", "None review framework"),
    ] {
        let got = server.legacy(&server.open(version), "completion/complete", params.clone());
        assert_eq!(got.result()["completion"]["values"][0], expected, "{version}");
    }
}

#[test]
fn bad_references_and_arguments_are_refused() {
    let server = Server::new(registry());
    let argument = json!({"name": "language", "value": ""});
    for (params, expected) in [
        (json!({"argument": argument}), "params.ref is required"),
        (json!({"ref": "review", "argument": argument}), "params.ref is required"),
        (json!({"ref": {"name": "review"}, "argument": argument}), "params.ref.type is required"),
        (json!({"ref": {"type": "ref/tool", "name": "x"}, "argument": argument}), "not \"ref/tool\""),
        (json!({"ref": {"type": "ref/prompt"}, "argument": argument}), "params.ref.name is required"),
        (
            json!({"ref": {"type": "ref/resource", "name": "x"}, "argument": argument}),
            "params.ref.uri is required",
        ),
        (
            json!({"ref": {"type": "ref/prompt", "name": "nope"}, "argument": argument}),
            "Unknown prompt: nope",
        ),
        (json!({"ref": prompt()}), "params.argument is required"),
        (json!({"ref": prompt(), "argument": {"value": ""}}), "params.argument.name is required"),
        (
            json!({"ref": prompt(), "argument": {"name": "language", "value": 7}}),
            "params.argument.value is required",
        ),
        (
            json!({"ref": prompt(), "argument": {"name": "size", "value": ""}}),
            "there is language, framework, x",
        ),
        (json!({"ref": prompt(), "argument": argument, "context": 7}), "params.context must be"),
        (json!({"ref": prompt(), "argument": argument, "context": {"arguments": {"a": 1}}}), "\"a\" is none"),
    ] {
        let got = server.modern("completion/complete", params.clone());
        assert_eq!((got.status, got.code()), (400, -32602), "{params}");
        assert!(got.message().contains(expected), "{params}: {}", got.message());
    }
    let got = complete(&server, template(), "id", "");
    assert_eq!((got.code(), got.message()), (-32603, "no ids now"));
}

#[test]
fn without_a_completer_there_is_no_completion() {
    let arguments = [PromptArgument::new("a")];
    let plain = Prompt::raw("p", "", arguments, |_: BTreeMap<String, String>, _: Context| async { Ok("") });
    let server = Server::new(Registry::new().prompt(plain));
    let got = complete(&server, json!({"type": "ref/prompt", "name": "p"}), "a", "");
    assert_eq!((got.status, got.code(), got.error()), (404, -32601, Some("method_not_found")));
}
