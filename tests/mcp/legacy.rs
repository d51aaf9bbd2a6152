//! 2025-11-25 and what it shares with the revisions before it.

use ringmesh::mcp::{Capability, Context, McpOptions, Registry, ServerInfo, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Got, Headers, LEGACY, MODERN, Server, initialize, request};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn server() -> Server {
    let needy = |_: NoArgs, context: Context| async move {
        context.require(Capability::Sampling)?;
        Ok("sampled")
    };
    let registry = Registry::new()
        .tool("hi", "Says hi", |_: NoArgs, _: Context| async { Ok("hi") })
        .with(Tool::new("needy", "", needy));
    let options = McpOptions {
        server: ServerInfo { name: "unit".into(), version: "1".into(), ..ServerInfo::default() },
        instructions: Some("Say hi.".into()),
        ..McpOptions::default()
    };
    Server::with(registry, options)
}

fn expect(got: &Got, status: u16, code: i64, error: &str) {
    assert_eq!((got.status, got.code(), got.error()), (status, code, Some(error)), "{}", got.text);
}

#[test]
fn initialize_opens_a_session() {
    let server = server();
    let got = server.post(&Headers::json(), initialize(LEGACY).to_string());
    let expected = json!({
        "protocolVersion": LEGACY,
        "capabilities": {"logging": {}, "tools": {"listChanged": true}},
        "serverInfo": {"name": "unit", "version": "1"},
        "instructions": "Say hi."
    });
    assert_eq!(*got.result(), expected);
    let id = got.session.unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!((server.dispatcher.sessions(), got.label.era.as_str()), (1, "legacy"));
}

#[test]
fn versions_are_negotiated() {
    let server = server();
    for (asked, answered) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2024-10-07", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("9999-99-99", "2025-11-25"),
        ("", "2025-11-25"),
    ] {
        let got = server.post(&Headers::json(), initialize(asked).to_string());
        assert_eq!(got.result()["protocolVersion"], answered, "{asked}");
    }
    // The header is tolerated on initialize, whatever revision before 2026-07-28 it names.
    for header in ["2025-11-25", "2025-03-26", "x"] {
        let headers = Headers { version: Some(header.into()), ..Headers::json() };
        assert_eq!(server.post(&headers, initialize(LEGACY).to_string()).status, 200);
    }
}

#[test]
fn malformed_initialize_is_invalid_params() {
    let server = server();
    for params in [
        json!({}),
        json!({"protocolVersion": 7}),
        json!([]),
        json!({"protocolVersion": LEGACY, "capabilities": []}),
        json!({"protocolVersion": LEGACY, "capabilities": {"sampling": 1}}),
    ] {
        let got = server.post(&Headers::json(), request("initialize", params).to_string());
        expect(&got, 200, -32602, "invalid_params");
        assert!(got.session.is_none());
    }
    assert_eq!(server.dispatcher.sessions(), 0);
    // What the schema requires and nothing here needs may be absent.
    let lean = request("initialize", json!({"protocolVersion": LEGACY}));
    assert_eq!(server.post(&Headers::json(), lean.to_string()).status, 200);
}

#[test]
fn methods_of_a_session() {
    let server = server();
    for version in [LEGACY, "2025-06-18"] {
        let session = server.open(version);
        assert_eq!(*server.legacy(&session, "ping", json!({})).result(), json!({}));
        assert_eq!(server.legacy(&session, "tools/list", json!({})).result()["tools"][0]["name"], "hi");
        let got = server.legacy(&session, "tools/call", json!({"name": "hi", "arguments": {}}));
        assert_eq!(*got.result(), json!({"content": [{"type": "text", "text": "hi"}]}));
        assert_eq!(
            *server.legacy(&session, "logging/setLevel", json!({"level": "error"})).result(),
            json!({})
        );
        expect(
            &server.legacy(&session, "logging/setLevel", json!({"level": "x"})),
            200,
            -32602,
            "invalid_params",
        );
        for method in ["resources/list", "no/such", "server/x", "tasks/list"] {
            expect(&server.legacy(&session, method, json!({})), 200, -32601, "method_not_found");
        }
        expect(&server.legacy(&session, "tools/call", json!({"name": "x"})), 200, -32602, "unknown_tool");
        expect(&server.legacy(&session, "tools/call", json!([])), 200, -32602, "invalid_params");
        expect(&server.legacy(&session, "tools/list", json!({"cursor": "x"})), 200, -32602, "invalid_params");
        let got = server.post(&session, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert_eq!(got.status, 200, "params may be absent");
        for params in [json!(null), json!({"_meta": null}), json!({"cursor": null})] {
            assert_eq!(
                server.legacy(&session, "tools/list", params).status,
                200,
                "null is as good as absent"
            );
        }
    }
}

#[test]
fn the_modern_headers_are_not_asked_for() {
    let server = server();
    let session = server.open(LEGACY);
    let odd = Headers { method: Some("x".into()), name: Some("y".into()), ..session };
    assert_eq!(server.legacy(&odd, "ping", json!({})).status, 200);
}

#[test]
fn capabilities_are_those_of_initialize() {
    let server = server();
    let mut body = initialize(LEGACY);
    body["params"]["capabilities"] = json!({"sampling": {}});
    let got = server.post(&Headers::json(), body.to_string());
    let able = Headers { session: got.session, ..Headers::json() };
    let unable = server.open(LEGACY);
    assert_eq!(server.legacy(&able, "tools/call", json!({"name": "needy"})).content(), "sampled");
    let got = server.legacy(&unable, "tools/call", json!({"name": "needy"}));
    expect(&got, 200, -32602, "missing_capability");
    assert_eq!(got.body()["error"]["data"]["requiredCapabilities"], json!({"sampling": {}}));
}

#[test]
fn notifications_and_responses_are_accepted() {
    let server = server();
    let session = server.open(LEGACY);
    for body in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": []}),
        json!({"jsonrpc": "2.0", "method": "whatever"}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": "x", "error": {"code": 1, "message": "no"}}),
    ] {
        let got = server.post(&session, body.to_string());
        assert_eq!((got.status, got.body.is_none(), got.error()), (202, true, None), "{body}");
    }
    let nobody = Headers { session: None, ..session };
    for body in [json!({"jsonrpc": "2.0", "id": 1, "result": {}}), json!({"jsonrpc": "2.0", "method": "x"})] {
        let got = server.post(&nobody, body.to_string());
        expect(&got, 400, -32600, "session_required");
        assert!(got.body().get("id").is_none());
    }
}

#[test]
fn the_session_header_decides() {
    let server = server();
    let session = server.open(LEGACY);
    let with = |change: &dyn Fn(&mut Headers)| {
        let mut headers = session.clone();
        change(&mut headers);
        server.legacy(&headers, "ping", json!({}))
    };
    assert_eq!(with(&|headers| headers.version = None).status, 200, "the session's version is assumed");
    expect(&with(&|headers| headers.session = None), 400, -32600, "session_required");
    for id in ["", "x", "00000000000000000000000000000000", "0000000000000000000000000000000000"] {
        let got = with(&|headers| headers.session = Some(id.into()));
        expect(&got, 404, -33404, "session_not_found");
        assert_eq!(got.body()["id"], 1);
    }
    let upper = session.session.as_ref().unwrap().to_ascii_uppercase();
    if upper != *session.session.as_ref().unwrap() {
        expect(&with(&|headers| headers.session = Some(upper.clone())), 404, -33404, "session_not_found");
    }
    expect(&with(&|headers| headers.version = Some("2025-06-18".into())), 400, -32600, "session_version");
    expect(&with(&|headers| headers.version = Some("2025-03-26".into())), 400, -32600, "session_version");
    expect(&with(&|headers| headers.version = Some("garbage".into())), 400, -32600, "session_version");
    expect(&with(&|headers| headers.principal = Some("mallory".into())), 404, -33404, "session_not_found");
    assert_eq!(with(&|_| {}).status, 200);
}

#[test]
fn delete_ends_a_session() {
    let server = server();
    let session = server.open(LEGACY);
    expect(&server.delete(&Headers { session: None, ..session.clone() }), 400, -32600, "session_required");
    let foreign = Headers { principal: Some("mallory".into()), ..session.clone() };
    expect(&server.delete(&foreign), 404, -33404, "session_not_found");
    let other = Headers { version: Some("2025-06-18".into()), ..session.clone() };
    expect(&server.delete(&other), 400, -32600, "session_version");
    let got = server.delete(&session);
    assert_eq!((got.status, got.body.is_none()), (204, true));
    assert_eq!(server.dispatcher.sessions(), 0);
    expect(&server.legacy(&session, "ping", json!({})), 404, -33404, "session_not_found");
    expect(&server.delete(&session), 404, -33404, "session_not_found");
}

#[test]
fn requests_before_the_initialized_notification_are_served() {
    let server = server();
    let session = server.initialize(&Headers::json(), LEGACY);
    assert_eq!(server.legacy(&session, "ping", json!({})).status, 200);
    assert_eq!(server.legacy(&session, "tools/list", json!({})).status, 200);
}

#[test]
fn both_eras_live_side_by_side() {
    let server = server();
    let session = server.open(LEGACY);
    assert_eq!(server.call("hi", json!({})).content(), "hi");
    assert_eq!(server.legacy(&session, "ping", json!({})).status, 200);
    // Modern metadata decides, also within a session.
    let (mut headers, body) = crate::support::modern("tools/call", json!({"name": "hi"}));
    headers.session.clone_from(&session.session);
    let got = server.post(&headers, body.to_string());
    assert_eq!(got.result()["resultType"], Value::from("complete"));
    assert_eq!(headers.version.as_deref(), Some(MODERN));
}
