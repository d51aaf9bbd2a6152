//! Every check of a request of 2026-07-28, with its status and code, and the order in which they come.

use ringmesh::mcp::{Capability, Context, Registry, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Got, Headers, MODERN, REVISIONS, Server, modern};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn server() -> Server {
    let schema = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"}
    }});
    let needy = |_: NoArgs, context: Context| async move {
        context.require(Capability::Sampling)?;
        Ok("sampled")
    };
    Server::new(
        Registry::new().with(Tool::raw("query", "Queries", schema, |_, _| async { Ok("done") })).tool(
            "needy",
            "Needs sampling",
            needy,
        ),
    )
}

fn call() -> (Headers, Value) {
    let (mut headers, body) = modern("tools/call", json!({"name": "query", "arguments": {"region": "eu"}}));
    headers.others = vec![("mcp-param-region".into(), "eu".into())];
    (headers, body)
}

fn expect(got: &Got, status: u16, code: i64, error: &str) {
    assert_eq!((got.status, got.code(), got.error()), (status, code, Some(error)), "{}", got.text);
}

#[test]
fn a_sound_call_is_served() {
    let (headers, body) = call();
    let got = server().post(&headers, body.to_string());
    assert_eq!(got.content(), "done");
    assert_eq!((got.label.tool, got.label.era.as_str(), got.error()), (Some(0), "modern", None));
}

#[test]
fn step_2_media_types() {
    let server = server();
    for content_type in [None, Some("text/plain"), Some("application/json; charset=utf-16")] {
        let (headers, body) = call();
        let headers = Headers { content_type: content_type.map(str::to_owned), ..headers };
        expect(&server.post(&headers, body.to_string()), 415, -32600, "unsupported_media_type");
        // Before anything about the body.
        expect(&server.post(&headers, "{"), 415, -32600, "unsupported_media_type");
    }
    for accept in [None, Some("application/json"), Some("text/event-stream"), Some("text/html")] {
        let (headers, body) = call();
        let headers = Headers { accept: accept.map(str::to_owned), ..headers };
        expect(&server.post(&headers, body.to_string()), 406, -32600, "not_acceptable");
        expect(&server.post(&headers, "{"), 406, -32600, "not_acceptable");
    }
    for accept in ["*/*", "application/*, text/*", "text/event-stream;q=0.1, application/json"] {
        let (headers, body) = call();
        let headers = Headers { accept: Some(accept.into()), ..headers };
        assert_eq!(server.post(&headers, body.to_string()).status, 200, "{accept}");
    }
}

#[test]
fn step_3_form_comes_before_meta_and_headers() {
    let headers = Headers { version: Some(MODERN.into()), ..Headers::json() };
    expect(&server().post(&headers, "{"), 400, -32700, "parse_error");
    expect(&server().post(&headers, r#"{"id":1,"method":"x"}"#), 400, -32600, "invalid_request");
}

#[test]
fn step_4_meta_is_required_and_comes_before_the_headers() {
    let server = server();
    let without = |member: &str| {
        let (headers, mut body) = call();
        body["params"]["_meta"].as_object_mut().unwrap().remove(member).unwrap();
        // The headers are wrong too; the missing metadata is what is told.
        server.post(&Headers { method: None, ..headers }, body.to_string())
    };
    expect(&without("io.modelcontextprotocol/protocolVersion"), 400, -32602, "invalid_meta");
    expect(&without("io.modelcontextprotocol/clientCapabilities"), 400, -32602, "invalid_meta");
    for (pointer, value) in [
        ("/params", json!([])),
        ("/params/_meta", json!(null)),
        ("/params/_meta", json!("x")),
        ("/params/_meta/io.modelcontextprotocol~1protocolVersion", json!(20260728)),
        ("/params/_meta/io.modelcontextprotocol~1clientCapabilities", json!([])),
        ("/params/_meta/io.modelcontextprotocol~1clientCapabilities", json!({"sampling": true})),
    ] {
        let (headers, mut body) = call();
        *body.pointer_mut(pointer).unwrap() = value;
        let got = server.post(&headers, body.to_string());
        expect(&got, 400, -32602, "invalid_meta");
        assert_eq!(got.body()["id"], 1);
    }
    let got = server.post(&call().0, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    expect(&got, 400, -32602, "invalid_meta");
    let (headers, body) = call();
    let twice =
        body.to_string().replacen("\"_meta\":{", "\"_meta\":{\"progressToken\":1,\"progressToken\":1,", 1);
    expect(&server.post(&headers, twice), 400, -32602, "invalid_meta");
}

#[test]
fn step_4_client_info_is_optional() {
    let (headers, mut body) = call();
    body["params"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/clientInfo").unwrap();
    assert_eq!(server().post(&headers, body.to_string()).status, 200);
}

#[test]
fn step_5_mirrored_headers() {
    let server = server();
    let changed = |change: &dyn Fn(&mut Headers)| {
        let (mut headers, body) = call();
        change(&mut headers);
        server.post(&headers, body.to_string())
    };
    let wrong: [&dyn Fn(&mut Headers); 9] = [
        &|headers| headers.version = None,
        &|headers| headers.version = Some("2025-11-25".into()),
        &|headers| headers.version = Some("2026-07-29".into()),
        &|headers| headers.method = None,
        &|headers| headers.method = Some("Tools/Call".into()),
        &|headers| headers.name = None,
        &|headers| headers.name = Some("Query".into()),
        &|headers| headers.name = Some("=?base64?cXVlcnk?=".into()),
        &|headers| headers.name = Some("quer\u{fffd}".into()),
    ];
    for change in wrong {
        let got = changed(change);
        expect(&got, 400, -32020, "header_mismatch");
        assert_eq!(got.body()["id"], 1);
    }
    let encoded = changed(&|headers| headers.name = Some("=?base64?cXVlcnk=?=".into()));
    assert_eq!(encoded.status, 200, "{}", encoded.text);
}

#[test]
fn step_5_every_method_has_its_mirrored_name() {
    let server = server();
    for (method, member) in [("prompts/get", "name"), ("resources/read", "uri"), ("tasks/get", "taskId")] {
        let (mut headers, body) = modern(method, json!({ member: "x" }));
        headers.name = None;
        expect(&server.post(&headers, body.to_string()), 400, -32020, "header_mismatch");
        headers.name = Some("x".into());
        expect(&server.post(&headers, body.to_string()), 404, -32601, "method_not_found");
    }
}

#[test]
fn step_6_unsupported_versions_are_told_what_is_supported() {
    let server = server();
    let with_version = |version: &str| {
        let (mut headers, mut body) = call();
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(version);
        headers.version = Some(version.into());
        server.post(&headers, body.to_string())
    };
    for version in ["1900-01-01", "2027-01-01", "x"] {
        let got = with_version(version);
        expect(&got, 400, -32022, "unsupported_version");
        let data = &got.body()["error"]["data"];
        assert_eq!(*data, json!({"supported": REVISIONS, "requested": version}));
    }
    // A revision with sessions is not for requests like this one.
    let got = with_version("2025-11-25");
    expect(&got, 400, -32022, "unsupported_version");
    assert_eq!(got.body()["error"]["data"]["supported"], json!([MODERN]));
    // Before the method.
    let (mut headers, mut body) = modern("no/such", json!({}));
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2030-01-01");
    headers.version = Some("2030-01-01".into());
    expect(&server.post(&headers, body.to_string()), 400, -32022, "unsupported_version");
}

#[test]
fn step_7_unknown_and_removed_methods() {
    let server = server();
    let removed = [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
    ];
    for method in removed.into_iter().chain(["no/such", "tools/Call", ""]) {
        let got = server.modern(method, json!({}));
        expect(&got, 404, -32601, "method_not_found");
        assert_eq!(got.body()["id"], 1);
    }
}

#[test]
fn step_8_mirrored_parameters() {
    let server = server();
    let run = |arguments: Value, headers: &[(&str, &str)]| {
        let (mut head, body) = modern("tools/call", json!({"name": "query", "arguments": arguments}));
        head.others = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        server.post(&head, body.to_string())
    };
    let (region, count) = ("Mcp-Param-Region", "MCP-PARAM-COUNT");
    for (arguments, headers) in [
        (json!({}), vec![]),
        (json!({"region": null}), vec![]),
        (json!({"region": "eu"}), vec![(region, "eu")]),
        (json!({"region": "日本", "count": 42}), vec![(region, "=?base64?5pel5pys?="), (count, "42.0")]),
    ] {
        // A null does not fit the schema, which is the tool's business and no header mismatch.
        assert_eq!(run(arguments.clone(), &headers).status, 200, "{arguments}");
    }
    for (arguments, headers) in [
        (json!({"region": "eu"}), vec![]),
        (json!({}), vec![(region, "eu")]),
        (json!({"region": null}), vec![(region, "null")]),
        (json!({"region": "eu"}), vec![(region, "us")]),
        (json!({"region": "eu"}), vec![(region, "=?base64?ZXU?=")]),
        (json!({"region": "eu"}), vec![(region, "=?base64?*?=")]),
        (json!({"count": 42}), vec![(count, "43")]),
    ] {
        expect(&run(arguments, &headers), 400, -32020, "header_mismatch");
    }
}

#[test]
fn step_9_a_missing_capability_is_told_as_an_object_also_by_a_tools_body() {
    let server = server();
    let got = server.call("needy", json!({}));
    expect(&got, 400, -32021, "missing_capability");
    assert_eq!(got.body()["error"]["data"], json!({"requiredCapabilities": {"sampling": {}}}));
    let capabilities = json!({"io.modelcontextprotocol/clientCapabilities": {"sampling": {}}});
    let got = server.modern("tools/call", json!({"name": "needy", "arguments": {}, "_meta": capabilities}));
    assert_eq!(got.content(), "sampled");
}

#[test]
fn a_stream_without_headers_is_checked_by_its_body_alone() {
    let (_, body) = call();
    let headers = Headers { stream: true, ..Headers::default() };
    let server = server();
    assert_eq!(server.post(&headers, body.to_string()).content(), "done");
    let mut body = body;
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2030-01-01");
    expect(&server.post(&headers, body.to_string()), 400, -32022, "unsupported_version");
}

#[test]
fn eras_are_told_apart() {
    let server = server();
    // The method alone, the header alone, and the metadata alone each make a request modern.
    let plain = |method: &str| crate::support::request(method, json!({})).to_string();
    expect(&server.post(&Headers::json(), plain("server/discover")), 400, -32602, "invalid_meta");
    expect(&server.post(&Headers::json(), plain("subscriptions/listen")), 400, -32602, "invalid_meta");
    let headers = Headers { version: Some("2027-01-01".into()), ..Headers::json() };
    expect(&server.post(&headers, plain("initialize")), 400, -32602, "invalid_meta");
    let (headers, body) = modern("tools/list", json!({}));
    let headers = Headers { version: None, ..headers };
    expect(&server.post(&headers, body.to_string()), 400, -32020, "header_mismatch");
    // Without any of them it needs a session.
    expect(&server.post(&Headers::json(), plain("tools/list")), 400, -32600, "session_required");
}
