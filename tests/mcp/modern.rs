//! What 2026-07-28 answers.

use ringmesh::mcp::{Context, McpOptions, Registry, ServerInfo, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Headers, MODERN, REVISIONS, Server, modern};

#[derive(Deserialize, JsonSchema)]
struct EchoArgs {
    /// What to say.
    message: String,
}

fn echo(name: &str) -> Tool {
    Tool::new(name, "Returns the message", |args: EchoArgs, _: Context| async move { Ok(args.message) })
}

fn server() -> Server {
    let options = McpOptions {
        server: ServerInfo {
            name: "unit".into(),
            title: Some("Unit \"test\"".into()),
            version: "9.8.7".into(),
            ..ServerInfo::default()
        },
        instructions: Some("Call echo.\n".into()),
        ..McpOptions::default()
    };
    Server::with(Registry::new().with(echo("echo")), options)
}

fn assert_server_info(result: &Value) {
    let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(*info, json!({"name": "unit", "title": "Unit \"test\"", "version": "9.8.7"}));
    assert_eq!(result["resultType"], "complete");
}

#[test]
fn discover_names_versions_capabilities_and_the_server() {
    let got = server().modern("server/discover", json!({}));
    let result = got.result();
    assert_server_info(result);
    assert_eq!(result["supportedVersions"], json!(REVISIONS));
    assert_eq!(result["capabilities"], json!({"logging": {}, "tools": {"listChanged": true}}));
    assert_eq!(result["instructions"], "Call echo.\n");
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(300_000), &json!("public")));
}

#[test]
fn a_call_answers_with_content() {
    let got = server().call("echo", json!({"message": "hi \"you\"\n"}));
    assert_server_info(got.result());
    assert_eq!(got.result()["content"], json!([{"type": "text", "text": "hi \"you\"\n"}]));
    assert!(got.result().get("isError").is_none() && got.result().get("structuredContent").is_none());
    assert_eq!((got.session, got.allow, got.retry_after_s), (None, None, None));
}

#[test]
fn lists_are_cacheable_and_in_the_order_of_registration() {
    let server = server();
    let got = server.modern("tools/list", json!({}));
    assert_server_info(got.result());
    assert_eq!(got.result()["cacheScope"], "public");
    assert!(got.result()["ttlMs"].is_u64() && got.result().get("nextCursor").is_none());
    let tool = &got.result()["tools"][0];
    assert_eq!(tool["name"], "echo");
    assert_eq!(
        tool["inputSchema"]["properties"]["message"],
        json!({"type": "string", "description": "What to say."})
    );
    assert_eq!(tool["inputSchema"]["required"], json!(["message"]));
    assert!(tool["inputSchema"].get("title").is_none());
    assert_eq!(server.modern("tools/list", json!({})).text, got.text);
}

#[test]
fn everything_about_a_tool_is_listed() {
    let annotations = ToolAnnotations {
        title: Some("T".into()),
        read_only_hint: Some(true),
        destructive_hint: Some(false),
        ..ToolAnnotations::default()
    };
    let tool = echo("full").title("Full").annotations(annotations).meta("a.b/c", json!({"x": 1}));
    let server = Server::new(Registry::new().with(tool));
    let got = server.modern("tools/list", json!({}));
    let listed = &got.result()["tools"][0];
    assert_eq!(listed["title"], "Full");
    assert_eq!(listed["description"], "Returns the message");
    assert_eq!(listed["annotations"], json!({"title": "T", "readOnlyHint": true, "destructiveHint": false}));
    assert_eq!(listed["_meta"], json!({"a.b/c": {"x": 1}}));
}

#[test]
fn lists_come_in_pages_with_opaque_cursors() {
    let registry =
        (0..7).fold(Registry::new(), |registry, index| registry.with(echo(&format!("tool{index}"))));
    let server = Server::limited(registry, |limits| limits.max_page_entries = 3);
    let (mut names, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let params = cursor.as_ref().map_or(json!({}), |cursor| json!({ "cursor": cursor }));
        let got = server.modern("tools/list", params);
        pages += 1;
        assert_eq!(got.result()["cacheScope"], "public");
        names.extend(got.result()["tools"].as_array().unwrap().iter().map(|tool| tool["name"].to_string()));
        match got.result().get("nextCursor") {
            Some(next) => cursor = Some(next.as_str().unwrap().to_owned()),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(names, (0..7).map(|index| format!("\"tool{index}\"")).collect::<Vec<_>>());
    for bad in [json!(""), json!("x"), json!(3), json!({}), json!(format!("{}A", cursor.unwrap()))] {
        let got = server.modern("tools/list", json!({ "cursor": bad }));
        assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("invalid_params")), "{bad}");
    }
}

#[test]
fn unknown_tools_and_malformed_calls_are_protocol_errors() {
    let server = server();
    let got = server.call("nope", json!({}));
    assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("unknown_tool")));
    assert_eq!(got.message(), "Unknown tool: nope");
    for params in [
        json!({"arguments": {}}),
        json!({"name": 7}),
        json!({"name": "echo", "arguments": ["hi"]}),
        json!({"name": "echo", "arguments": "hi"}),
        json!({"name": "echo", "arguments": {"message": "hi"}, "_meta": {"progressToken": 1.5}}),
        json!({"name": "echo", "arguments": {"message": "hi"},
            "_meta": {"io.modelcontextprotocol/logLevel": "loud"}}),
    ] {
        let got = server.modern("tools/call", params.clone());
        assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("invalid_params")), "{params}");
    }
    let got = server.call(&"x".repeat(100_000), json!({}));
    assert!(got.text.len() < 400, "the name is not repeated in full");
}

#[test]
fn missing_arguments_mean_none() {
    #[derive(Deserialize, JsonSchema)]
    struct Maybe {
        word: Option<String>,
    }
    let maybe = |args: Maybe, _: Context| async move { Ok(args.word.unwrap_or_else(|| "nothing".into())) };
    let server = Server::new(Registry::new().tool("maybe", "", maybe));
    assert_eq!(server.modern("tools/call", json!({"name": "maybe"})).content(), "nothing");
    assert_eq!(server.call("maybe", Value::Null).content(), "nothing");
    assert_eq!(server.call("maybe", json!({"word": null})).content(), "nothing");
}

#[test]
fn notifications_are_accepted_and_responses_are_not() {
    let server = server();
    let headers = Headers { version: Some(MODERN.into()), ..Headers::json() };
    for method in ["notifications/cancelled", "notifications/x"] {
        let got = server.post(&headers, json!({"jsonrpc": "2.0", "method": method}).to_string());
        assert_eq!((got.status, got.body.is_none()), (202, true));
    }
    for body in [json!({"jsonrpc": "2.0", "id": 1, "result": {}}), json!({"jsonrpc": "2.0", "error": {}})] {
        let got = server.post(&headers, body.to_string());
        assert_eq!((got.status, got.code(), got.error()), (400, -32600, Some("unexpected_response")));
        assert!(got.body().get("id").is_none());
    }
}

#[test]
fn get_and_delete_have_no_meaning_here() {
    let server = server();
    let headers = Headers { version: Some(MODERN.into()), ..Headers::json() };
    let got = server.get(&headers);
    assert_eq!((got.status, got.allow), (405, Some("POST")));
    let got = server.delete(&headers);
    assert_eq!((got.status, got.allow), (405, Some("POST")));
}

#[test]
fn a_session_id_is_ignored_and_none_is_minted() {
    let server = server();
    let (headers, body) = modern("tools/call", json!({"name": "echo", "arguments": {"message": "hi"}}));
    let got = server.post(&Headers { session: Some("gone".into()), ..headers }, body.to_string());
    assert_eq!((got.content(), &got.session), ("hi", &None));
    assert_eq!(server.dispatcher.sessions(), 0);
}
