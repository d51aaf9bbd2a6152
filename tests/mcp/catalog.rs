//! What is declared, listed in pages, and changed while the server runs.

use std::collections::BTreeMap;

use ringmesh::mcp::{
    Context, Dispatcher, Icon, McpOptions, Prompt, PromptArgument, Registry, Resource, ResourceTemplate,
    ServerInfo, Tool, ToolAnnotations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Headers, MODERN, REVISIONS, Server, initialize};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn tool(name: &str) -> Tool {
    Tool::new(name, "", |_: NoArgs, context: Context| async move { Ok(context.name().to_owned()) })
}

fn resource(uri: &str) -> Resource {
    Resource::text(uri, "r", "text")
}

fn template(uri: &str) -> ResourceTemplate {
    ResourceTemplate::new(uri, "t", |_: BTreeMap<String, String>, _: Context| async { Ok("made") })
}

fn prompt(name: &str) -> Prompt {
    Prompt::raw(name, "", [PromptArgument::new("a")], |_: BTreeMap<String, String>, _: Context| async {
        Ok("hi")
    })
}

fn completed(name: &str) -> Prompt {
    prompt(name).complete("a", |_, _: Context| async { Ok(["b"]) })
}

fn capabilities(server: &Server, version: &str) -> Value {
    match version {
        MODERN => server.modern("server/discover", json!({})).result()["capabilities"].clone(),
        version => {
            server.post(&Headers::json(), initialize(version).to_string()).result()["capabilities"].clone()
        }
    }
}

fn ask(server: &Server, version: &str, method: &str, params: Value) -> crate::support::Got {
    match version {
        MODERN => server.modern(method, params),
        version => server.legacy(&server.open(version), method, params),
    }
}

#[test]
fn what_is_declared_is_what_there_is() {
    let changes = json!({"listChanged": true});
    let resources = json!({"subscribe": true, "listChanged": true});
    let all = json!({"logging": {}, "completions": {}, "tools": changes, "prompts": changes, "resources": resources});
    let cases = [
        (Registry::new(), json!({})),
        (Registry::new().with(tool("t")), json!({"logging": {}, "tools": changes})),
        (Registry::new().resource(resource("x:a")), json!({"logging": {}, "resources": resources})),
        (
            Registry::new().resource_template(template("x:{a}")),
            json!({"logging": {}, "resources": resources}),
        ),
        (Registry::new().prompt(prompt("p")), json!({"logging": {}, "prompts": changes})),
        (
            Registry::new().prompt(completed("p")),
            json!({"logging": {}, "prompts": changes, "completions": {}}),
        ),
        (Registry::new().dynamic(), all),
    ];
    for (registry, mut expected) in cases {
        let server = Server::new(registry);
        for version in &REVISIONS[..4] {
            assert_eq!(capabilities(&server, version), expected, "{version}");
        }
        expected.as_object_mut().unwrap().remove("completions");
        assert_eq!(capabilities(&server, "2024-11-05"), expected);
    }
}

#[test]
fn methods_of_what_is_not_declared_are_unknown() {
    let server = Server::new(Registry::new());
    let methods = [
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
    ];
    for version in REVISIONS {
        for method in methods {
            let member = if method == "resources/read" { "uri" } else { "name" };
            let got = ask(&server, version, method, json!({ member: "x:y" }));
            let status = if version == MODERN { 404 } else { 200 };
            assert_eq!(
                (got.status, got.code(), got.error()),
                (status, -32601, Some("method_not_found")),
                "{version} {method}"
            );
        }
        if version != MODERN {
            assert_eq!(ask(&server, version, "logging/setLevel", json!({"level": "info"})).code(), -32601);
        }
    }
    let server = Server::new(Registry::new().dynamic());
    for (method, member) in [
        ("tools/list", "tools"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ] {
        for version in REVISIONS {
            assert_eq!(
                ask(&server, version, method, json!({})).result()[member],
                json!([]),
                "{version} {method}"
            );
        }
    }
}

#[test]
fn every_list_comes_in_pages_with_cursors_of_its_own() {
    let registry = (0..5).fold(Registry::new(), |registry, index| {
        registry
            .with(tool(&format!("n{index}")))
            .resource(Resource::text(format!("x:n{index}"), format!("n{index}"), ""))
            .resource_template(ResourceTemplate::new(
                format!("x:{{a}}/n{index}"),
                format!("n{index}"),
                |_: BTreeMap<String, String>, _: Context| async { Ok("") },
            ))
            .prompt(prompt(&format!("n{index}")))
    });
    let server = Server::limited(registry, |limits| limits.max_page_entries = 2);
    let lists = [
        ("tools/list", "tools"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ];
    for version in REVISIONS {
        let mut first_cursors = Vec::new();
        for (method, member) in lists {
            let (mut names, mut params, mut pages) = (Vec::new(), json!({}), 0);
            loop {
                let got = ask(&server, version, method, params.clone());
                pages += 1;
                assert_eq!(got.result().get("cacheScope").is_some(), version == MODERN);
                let entries = got.result()[member].as_array().unwrap().clone();
                names.extend(entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
                match got.result().get("nextCursor") {
                    Some(next) => params = json!({ "cursor": next }),
                    None => break,
                }
                first_cursors.push(params["cursor"].clone());
            }
            assert_eq!((names.join(" ").as_str(), pages), ("n0 n1 n2 n3 n4", 3), "{version} {method}");
        }
        // A cursor leads nowhere in another list, and neither does what was never given out.
        for bad in [first_cursors[0].clone(), json!(""), json!("x"), json!(7), json!({})] {
            let got = ask(&server, version, "prompts/list", json!({ "cursor": bad }));
            assert_eq!((got.code(), got.error()), (-32602, Some("invalid_params")), "{version} {bad}");
        }
    }
}

#[test]
fn tools_are_listed_as_each_revision_knows_them() {
    #[derive(Serialize, JsonSchema)]
    struct Sum {
        sum: i64,
    }
    let sum =
        Tool::new("sum", "Adds", |_: NoArgs, _: Context| async { Ok(ringmesh::mcp::Json(Sum { sum: 3 })) });
    let annotations = ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() };
    let sum = sum.title("Sum").icon(Icon::new("data:,")).annotations(annotations).meta("k", 1);
    let server = Server::new(Registry::new().with(sum));
    for (version, keys, structured) in [
        (MODERN, "_meta annotations description icons inputSchema name outputSchema title", true),
        ("2025-11-25", "_meta annotations description icons inputSchema name outputSchema title", true),
        ("2025-06-18", "_meta annotations description inputSchema name outputSchema title", true),
        ("2025-03-26", "annotations description inputSchema name", false),
        ("2024-11-05", "description inputSchema name", false),
    ] {
        let got = ask(&server, version, "tools/list", json!({}));
        let tool = got.result()["tools"][0].as_object().unwrap();
        assert_eq!(tool.keys().map(String::as_str).collect::<Vec<_>>().join(" "), keys, "{version}");
        let got = ask(&server, version, "tools/call", json!({"name": "sum", "arguments": {}}));
        assert_eq!(got.content(), r#"{"sum":3}"#);
        assert_eq!(got.result().get("structuredContent").is_some(), structured, "{version}");
    }
}

#[test]
fn the_server_says_of_itself_what_each_revision_knows() {
    let server = ServerInfo {
        name: "unit".into(),
        title: Some("Unit".into()),
        version: "1".into(),
        description: Some("Tests".into()),
        website_url: Some("https://example.com".into()),
        icons: vec![Icon::new("https://example.com/i.png")],
    };
    let options = McpOptions { server: server.clone(), ..McpOptions::default() };
    let unit = Server::with(Registry::new(), options.clone());
    let info = |version: &str| {
        unit.post(&Headers::json(), initialize(version).to_string()).result()["serverInfo"].clone()
    };
    let full = json!({"name": "unit", "title": "Unit", "version": "1", "description": "Tests",
        "websiteUrl": "https://example.com", "icons": [{"src": "https://example.com/i.png"}]});
    let discovered = unit.modern("server/discover", json!({}));
    assert_eq!(discovered.result()["_meta"]["io.modelcontextprotocol/serverInfo"], full);
    assert_eq!(info("2025-11-25"), full);
    assert_eq!(info("2025-06-18"), json!({"name": "unit", "title": "Unit", "version": "1"}));
    assert_eq!(info("2025-03-26"), json!({"name": "unit", "version": "1"}));
    let bad = ServerInfo { icons: vec![Icon::new("file:///i.png")], ..server };
    let error = Dispatcher::new(Registry::new(), McpOptions { server: bad, ..options }).unwrap_err();
    assert!(error.to_string().starts_with("the server has the icon"), "{error}");
}
