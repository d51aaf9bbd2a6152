//! What may be registered, and what the options switch off.

use ringmesh::mcp::{Context, Dispatcher, McpOptions, Registry, Tool, ToolGroup};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::Server;

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn plain(name: &str) -> Tool {
    Tool::new(name, "", |_: NoArgs, _: Context| async { Ok("ok") })
}

fn raw(schema: impl Into<ringmesh::mcp::SchemaSource>) -> Registry {
    Registry::new().with(Tool::raw("t", "", schema, |_: Value, _| async { Ok("ok") }))
}

fn error(registry: Registry) -> String {
    Dispatcher::new(registry, McpOptions::default()).unwrap_err().to_string()
}

#[test]
fn names_are_checked() {
    for name in ["a", "getUser", "DATA_EXPORT_v2", "admin.tools.list", "x-1", &"n".repeat(128)] {
        assert!(Dispatcher::new(Registry::new().with(plain(name)), McpOptions::default()).is_ok(), "{name}");
    }
    for name in ["", "a b", "ü", "a/b", "a,b", &"n".repeat(129)] {
        let error = error(Registry::new().with(plain(name)));
        assert!(error.contains("1 to 128"), "{error}");
    }
    let error = error(Registry::new().with(plain("twice")).with(plain("twice")));
    assert_eq!(error, "the tool twice is registered twice");
}

#[test]
fn schemas_are_checked() {
    let cases = [
        (raw(json!({"type": "array"})), "type is not \"object\""),
        (raw(json!({})), "type is not \"object\""),
        (raw("{"), "not JSON"),
        (raw(json!({"type": "object", "$schema": "http://json-schema.org/draft-03/schema#"})), "draft-03"),
        (
            raw(json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}})),
            "not a valid",
        ),
        (raw(json!({"type": "object", "properties": {"a": {"minimum": "x"}}})), "not a valid"),
        (raw(json!({"type": "object", "x-mcp-header": "A"})), "x-mcp-header"),
        (raw(json!({"type": "object", "properties": {"a": {"type": "number", "x-mcp-header": "A"}}})), "`a`"),
    ];
    for (registry, expected) in cases {
        let error = error(registry);
        assert!(error.starts_with("the tool t ") && error.contains(expected), "{error}");
    }
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    enum NoObject {
        A,
    }
    let tool = Tool::new("e", "", |_: NoObject, _: Context| async { Ok("") });
    assert!(error(Registry::new().with(tool)).contains("type is not \"object\""));
    let tool = plain("o").output_schema(json!({"type": "objekt"}));
    assert!(error(Registry::new().with(tool)).contains("output schema"));
    let blocking = Tool::blocking("b", "", |_: NoArgs, _: Context| Ok("ok"));
    assert!(error(Registry::new().with(blocking)).contains("no pool"));
}

#[test]
fn older_dialects_are_served_in_their_own_meaning() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": {"a": {"items": [{"type": "integer"}]}}});
    let server = Server::new(raw(schema));
    assert_eq!(server.call("t", json!({"a": [1]})).content(), "ok");
    assert!(server.call("t", json!({"a": ["x"]})).is_error());
}

#[test]
fn tools_that_are_not_allowed_are_neither_listed_nor_called() {
    let registry = || {
        Registry::new()
            .with(plain("file.read"))
            .with(plain("file.write"))
            .with(plain("status"))
            .with(plain("peers").group(ToolGroup::P2p))
            .with(plain("submit").group(ToolGroup::Taskqueue))
            .with(plain("mark").group(ToolGroup::Workflow))
    };
    let offered = |options: McpOptions| {
        let server = Server::with(registry(), options);
        let names: Vec<String> = server.dispatcher.tools().map(str::to_owned).collect();
        let list = server.modern("tools/list", json!({}));
        let listed: Vec<_> =
            list.result()["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(listed, names);
        for name in ["file.read", "file.write", "status", "peers", "submit", "mark"] {
            let got = server.call(name, json!({}));
            assert_eq!(got.error(), (!names.iter().any(|known| known == name)).then_some("unknown_tool"));
        }
        names.join(" ")
    };
    let globs = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
    let options = McpOptions::default;
    assert_eq!(offered(options()), "file.read file.write status peers submit mark");
    assert_eq!(
        offered(McpOptions { allow_tools: globs(&["file.*", "s*"]), ..options() }),
        "file.read file.write status submit"
    );
    assert_eq!(
        offered(McpOptions { deny_tools: globs(&["*.write"]), ..options() }),
        "file.read status peers submit mark"
    );
    let both =
        McpOptions { allow_tools: globs(&["file.*"]), deny_tools: globs(&["file.{write,x}"]), ..options() };
    assert_eq!(offered(both), "file.read");
    let flags = McpOptions { p2p_tools: false, taskqueue_tools: false, workflow_tools: false, ..options() };
    assert_eq!(offered(flags), "file.read file.write status");
    assert_eq!(offered(McpOptions { deny_tools: globs(&["*"]), ..options() }), "");
    let bad = McpOptions { allow_tools: globs(&["a["]), ..options() };
    assert!(Dispatcher::new(registry(), bad).unwrap_err().to_string().contains("\"a[\""));
}
