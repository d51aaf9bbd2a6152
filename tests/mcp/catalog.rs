//! What is declared, listed in pages, and changed while the server runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

fn listed(server: &Server, method: &str, member: &str, key: &str) -> String {
    let got = server.modern(method, json!({}));
    let entries = got.result()[member].as_array().unwrap().clone();
    entries.iter().map(|entry| entry[key].as_str().unwrap()).collect::<Vec<_>>().join(" ")
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

#[test]
fn things_come_and_go_while_the_server_runs() {
    let server = Server::new(Registry::new().with(tool("first")));
    let handle = server.dispatcher.registry_handle();
    assert_eq!(server.modern("prompts/list", json!({})).code(), -32601);
    handle.add_prompt(prompt("p")).unwrap();
    handle.add_resource(resource("x:a")).unwrap();
    handle.add_resource_template(template("x:t/{a}")).unwrap();
    handle.add_tool(tool("second")).unwrap();
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "first second");
    assert_eq!(listed(&server, "prompts/list", "prompts", "name"), "p");
    assert_eq!(listed(&server, "resources/list", "resources", "uri"), "x:a");
    assert_eq!(listed(&server, "resources/templates/list", "resourceTemplates", "uriTemplate"), "x:t/{a}");
    assert_eq!(server.call("second", json!({})).content(), "second");
    assert_eq!(
        server.modern("resources/read", json!({"uri": "x:t/1"})).result()["contents"][0]["text"],
        "made"
    );
    assert!(capabilities(&server, MODERN)["prompts"].is_object());
    assert!(handle.remove_tool("first") && !handle.remove_tool("first"));
    assert!(handle.remove_prompt("p") && handle.remove_resource("x:a"));
    assert!(handle.remove_resource_template("x:t/{a}") && !handle.remove_resource_template("x:t/{a}"));
    assert_eq!(server.call("first", json!({})).error(), Some("unknown_tool"));
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "second");
    // What was declared stays served.
    assert_eq!(listed(&server, "prompts/list", "prompts", "name"), "");
    assert_eq!(server.modern("resources/read", json!({"uri": "x:a"})).error(), Some("resource_not_found"));
}

#[test]
fn every_core_sees_a_change_on_its_next_request() {
    let server = Server::new(Registry::new().with(tool("t")));
    let other = Server { dispatcher: server.dispatcher.clone(), now: server.now };
    assert_eq!(listed(&other, "tools/list", "tools", "name"), "t");
    let handle = server.dispatcher.registry_handle();
    std::thread::spawn(move || handle.add_tool(tool("u")).unwrap()).join().unwrap();
    for server in [&server, &other] {
        assert_eq!(listed(server, "tools/list", "tools", "name"), "t u");
    }
}

#[test]
fn a_tool_changes_the_registry_and_its_own_call_goes_on() {
    let swap = Tool::new("swap", "", |_: NoArgs, context: Context| async move {
        assert!(context.registry().remove_tool("swap"));
        context
            .registry()
            .add_tool(tool("swapped"))
            .map_err(|error| ringmesh::mcp::CallError::failed(error.to_string()))?;
        Ok(context.name().to_owned())
    });
    let server = Server::new(Registry::new().with(swap));
    let got = server.call("swap", json!({}));
    assert_eq!((got.content(), got.label.tool), ("swap", Some(0)));
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "swapped");
    // A name that was not there at the start labels no metric; one that comes back does.
    assert_eq!(server.call("swapped", json!({})).label.tool, None);
    server.dispatcher.registry_handle().add_tool(tool("swap")).unwrap();
    assert_eq!(server.call("swap", json!({})).label.tool, Some(0));
    assert_eq!(server.dispatcher.tools().collect::<Vec<_>>(), ["swap"]);
}

#[test]
fn a_cursor_of_a_list_that_changed_is_refused() {
    let registry = Registry::new().with(tool("a")).with(tool("b"));
    let server = Server::limited(registry, |limits| limits.max_page_entries = 1);
    let cursor = server.modern("tools/list", json!({})).result()["nextCursor"].clone();
    assert_eq!(server.modern("tools/list", json!({ "cursor": cursor })).status, 200);
    // A change of another list leaves it alone.
    server.dispatcher.registry_handle().add_prompt(prompt("p")).unwrap();
    assert_eq!(server.modern("tools/list", json!({ "cursor": cursor })).status, 200);
    server.dispatcher.registry_handle().add_tool(tool("c")).unwrap();
    let got = server.modern("tools/list", json!({ "cursor": cursor }));
    assert_eq!((got.status, got.code()), (400, -32602));
    assert!(got.message().contains("start again"));
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let mut options = McpOptions { deny_tools: vec!["evil*".into()], ..McpOptions::default() };
    options.limits.max_registry_entries = 2;
    let server = Server::with(Registry::new().with(tool("t")), options.clone());
    let handle = server.dispatcher.registry_handle();
    let refused = |result: Result<(), ringmesh::mcp::RegistryError>, expected: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(handle.add_tool(tool("t")), "the tool t is registered twice");
    refused(handle.add_tool(tool("a b")), "1 to 128");
    refused(handle.add_resource(resource("plain")), "scheme");
    handle.add_tool(tool("evil")).unwrap();
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "t");
    handle.add_tool(tool("u")).unwrap();
    refused(handle.add_tool(tool("v")), "max_registry_entries allows, which is 2");
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "t u");
    let three = (0..3).fold(Registry::new(), |registry, index| registry.with(tool(&format!("t{index}"))));
    let error = Dispatcher::new(three, options).unwrap_err().to_string();
    assert!(error.contains("max_registry_entries"), "{error}");
    drop(server);
    refused(handle.add_tool(tool("w")), "has ended");
    assert!(!handle.remove_tool("t"));
    handle.tools_changed();
}

#[test]
fn requests_and_changes_at_once_never_see_half_a_change() {
    let server = Server::new(Registry::new().with(tool("steady")).dynamic());
    let stop = Arc::new(AtomicBool::new(false));
    let handle = server.dispatcher.registry_handle();
    let changer = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                handle.add_tool(tool("fleeting")).unwrap();
                assert!(handle.remove_tool("fleeting"));
            }
        })
    };
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (dispatcher, now) = (server.dispatcher.clone(), server.now);
            std::thread::spawn(move || {
                let server = Server { dispatcher, now };
                for _ in 0..100 {
                    assert_eq!(server.call("steady", json!({})).content(), "steady");
                    let names = listed(&server, "tools/list", "tools", "name");
                    assert!(names == "steady" || names == "steady fleeting", "{names}");
                    let got = server.call("fleeting", json!({}));
                    assert!(got.error() == Some("unknown_tool") || got.content() == "fleeting");
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    stop.store(true, Ordering::Relaxed);
    changer.join().unwrap();
}
