//! A registry that changes before the server runs and while it does, seen over sockets of several cores.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Client, TestServer, config, modern};
use ringmesh::mcp::{Contents, Icon, PromptArgument, ServerInfo};
use ringmesh::{Context, Prompt, Registry, Resource, ResourceTemplate, Server};
use serde_json::{Value, json};

fn motto(text: &'static str) -> Resource {
    Resource::text("test://motto", "motto", text)
}

fn ask(client: &mut Client, method: &str, params: Value) -> Value {
    client.ask(modern(1, method, params)).json()
}

fn uris(client: &mut Client) -> Vec<String> {
    let listed = ask(client, "resources/list", json!({}));
    let resources = listed["result"]["resources"].as_array().unwrap();
    resources.iter().map(|resource| resource["uri"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_added_before_the_start_is_part_of_the_registry() {
    let server = Server::new(config()).registry(Registry::new().resource(motto("slow")));
    let handle = server.registry_handle();
    handle.add_resource(Resource::text("test://early", "early", "")).unwrap();
    handle.add_resource(Resource::text("test://gone", "gone", "")).unwrap();
    assert!(handle.remove_resource("test://gone") && !handle.remove_resource("test://gone"));
    assert!(handle.put_resource(motto("fast")).unwrap());
    handle.resources_changed();
    let server = TestServer::run(server);
    let client = &mut server.client();
    assert_eq!(uris(client), ["test://motto", "test://early"]);
    let read = ask(client, "resources/read", json!({ "uri": "test://motto" }));
    assert_eq!(read["result"]["contents"][0]["text"], "fast");
}

#[test]
fn a_mistake_from_before_the_start_stops_it() {
    let server = Server::new(config());
    server.registry_handle().add_resource(Resource::text("plain", "", "")).unwrap();
    let error = server.into_app().unwrap_err().to_string();
    assert!(error.contains("the resource plain must begin with a scheme"), "{error}");
}

#[test]
fn every_core_serves_a_change_from_its_next_request_on() {
    let server = Server::new(config()).registry(Registry::new().resource(motto("slow")).dynamic());
    let handle = server.registry_handle();
    let server = TestServer::run(server);
    // More connections than cores, so that each core has seen the old catalog.
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for round in 0..3 {
        let uri = format!("test://round/{round}");
        handle.add_resource(Resource::text(&uri, "round", "")).unwrap();
        for client in &mut clients {
            assert_eq!(uris(client), ["test://motto", uri.as_str()]);
        }
        assert!(handle.remove_resource(&uri));
    }
    drop(clients);
    server.stop().unwrap();
    assert!(handle.add_resource(motto("slow")).unwrap_err().to_string().contains("has ended"));
}

#[test]
fn what_was_removed_is_dropped_also_where_nobody_asks() {
    let kept = Arc::new(());
    let weak = Arc::downgrade(&kept);
    let holding = Resource::new("test://holding", "holding", move |_: Context| {
        let _kept = &kept;
        async { Ok("") }
    });
    let server = Server::new(config()).registry(Registry::new().resource(holding));
    let handle = server.registry_handle();
    let server = TestServer::run(server);
    assert_eq!(uris(&mut server.client()), ["test://holding"]);
    assert!(handle.remove_resource("test://holding"));
    let begin = Instant::now();
    while weak.strong_count() > 0 {
        assert!(begin.elapsed() < common::PATIENCE, "a core keeps what was removed");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn resources_prompts_and_completion_are_served_over_http() {
    let template = ResourceTemplate::new(
        "test://template/{id}/data",
        "data",
        |variables: BTreeMap<String, String>, _: Context| async move {
            Ok(Contents::text(variables["id"].clone()).mime_type("text/plain"))
        },
    );
    let arguments = [PromptArgument::new("who").required()];
    let greet =
        Prompt::raw("greet", "", arguments, |given: BTreeMap<String, String>, _: Context| async move {
            Ok(format!("Hello {}", given["who"]))
        });
    let greet = greet.complete("who", |_, _: Context| async { Ok(["world"]) });
    let info =
        ServerInfo { title: Some("T".into()), icons: vec![Icon::new("data:,")], ..ServerInfo::default() };
    let registry = Registry::new().resource_template(template).prompt(greet);
    let server = TestServer::run(Server::new(config()).name("unit").info(info).registry(registry));
    let client = &mut server.client();
    let read = ask(client, "resources/read", json!({ "uri": "test://template/a%20b/data" }));
    let contents = json!([{ "uri": "test://template/a%20b/data", "mimeType": "text/plain", "text": "a b" }]);
    assert_eq!(read["result"]["contents"], contents);
    let server_info = &read["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!((&server_info["name"], &server_info["title"]), (&json!("unit"), &json!("T")));
    let got = ask(client, "prompts/get", json!({ "name": "greet", "arguments": { "who": "you" } }));
    assert_eq!(got["result"]["messages"][0]["content"]["text"], "Hello you");
    let reference = json!({ "type": "ref/prompt", "name": "greet" });
    let params = json!({ "ref": reference, "argument": { "name": "who", "value": "" } });
    assert_eq!(
        ask(client, "completion/complete", params)["result"]["completion"]["values"],
        json!(["world"])
    );
    let missing = ask(client, "resources/read", json!({ "uri": "test://nope" }));
    assert_eq!(
        (&missing["error"]["code"], &missing["error"]["data"]["uri"]),
        (&json!(-32602), &json!("test://nope"))
    );
}
