//! What is on offer, changed while it is served.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringmesh::mcp::{Context, Dispatcher, McpOptions, Prompt, Registry, Resource, ResourceTemplate, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::Server;

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
    Prompt::raw(name, "", [], |_: BTreeMap<String, String>, _: Context| async { Ok("hi") })
}

fn listed(server: &Server, method: &str, member: &str, key: &str) -> String {
    let got = server.modern(method, json!({}));
    let entries = got.result()[member].as_array().unwrap().clone();
    entries.iter().map(|entry| entry[key].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn capabilities(server: &Server) -> Value {
    server.modern("server/discover", json!({})).result()["capabilities"].clone()
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
    assert!(capabilities(&server)["prompts"].is_object());
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
fn a_thing_takes_the_place_of_another_at_once() {
    let say = |text: &'static str| Tool::new("b", text, move |_: NoArgs, _: Context| async move { Ok(text) });
    let registry = Registry::new().with(tool("a")).with(say("old")).with(tool("c"));
    let server = Server::limited(registry, |limits| limits.max_registry_entries = 3);
    let handle = server.dispatcher.registry_handle();
    assert!(handle.put_tool(say("new")).unwrap());
    let got = server.call("b", json!({}));
    assert_eq!((got.content(), got.label.tool), ("new", Some(1)));
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "a b c");
    assert_eq!(listed(&server, "tools/list", "tools", "description"), " new ");
    let error = handle.put_tool(tool("d")).unwrap_err().to_string();
    assert!(error.contains("max_registry_entries"), "{error}");
    assert!(!handle.put_resource(resource("x:a")).unwrap() && handle.put_resource(resource("x:a")).unwrap());
    let twice = [template("x:{a}"), template("x:{a}")].map(|one| handle.put_resource_template(one).unwrap());
    assert_eq!(twice, [false, true]);
    assert!(!handle.put_prompt(prompt("p")).unwrap() && handle.put_prompt(prompt("p")).unwrap());
    assert_eq!(listed(&server, "resources/list", "resources", "uri"), "x:a");
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
fn a_panic_in_what_was_removed_harms_nobody() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("on removal");
        }
    }
    let bad = Bad;
    let holding = Resource::new("x:bad", "bad", move |_: Context| {
        let _bad = &bad;
        async { Ok("") }
    });
    let server = Server::new(Registry::new().with(tool("t")).resource(holding));
    let handle = server.dispatcher.registry_handle();
    assert!(handle.remove_resource("x:bad"));
    assert_eq!(server.call("t", json!({})).content(), "t");
    assert_eq!(server.modern("resources/read", json!({"uri": "x:bad"})).error(), Some("resource_not_found"));
    handle.add_tool(tool("u")).unwrap();
    assert_eq!(listed(&server, "tools/list", "tools", "name"), "t u");
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
