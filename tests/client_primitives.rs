//! The client against this crate's own server: questions, resources, prompts, completion and changes in each revision, over
//! http and over libp2p.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use common::{TestServer, config};
use futures_lite::future::{or, zip};
use ringmesh::client::{
    self, Change, Client, ClientOptions, CompletionTarget, ElicitReply, ListenFilter, Revision, Root,
    SampleReply,
};
use ringmesh::mcp::{
    CallError, CompletionRequest, Content, Context, Elicitation, Prompt, Question, Resource,
    ResourceTemplate, Role, Sampling, Tool,
};
use ringmesh::runtime::{Scope, sleep};
use ringmesh::{BoxError, Registry, Server, ServerConfig};
use serde_json::{Value, json};

const NOTHING: &str = r#"{"type":"object"}"#;

fn form(message: &'static str) -> Elicitation {
    let schema =
        json!({ "type": "object", "properties": { "name": { "type": "string", "default": "nobody" } } });
    Elicitation::form(message, schema)
}

async fn ask_much(_: Value, context: Context) -> Result<String, CallError> {
    let first = context.elicit("first", form("who?")).await?;
    let name = first.content.unwrap()["name"].as_str().unwrap().to_owned();
    let greeting = Sampling::new(50).message(Role::User, Content::text(name.clone()));
    let answers =
        context.ask_all([("words", Question::from(greeting)), ("places", Question::roots())]).await?;
    let (words, places) = (answers.sampled("words")?.text(), answers.roots("places")?.len());
    Ok(format!("{name}: {words}, {places}"))
}

async fn change_all(_: Value, context: Context) -> Result<&'static str, CallError> {
    context.registry().tools_changed();
    context.registry().resource_updated("test://watched");
    Ok("changed")
}

fn complete(request: CompletionRequest, _: Context) -> impl Future<Output = Result<Vec<String>, CallError>> {
    let values = ["paris", "park", "party"].iter().filter(|value| value.starts_with(&request.value));
    std::future::ready(Ok(values.map(|value| (*value).to_owned()).collect()))
}

/// A server, and where it is over http and over libp2p.
fn server() -> (TestServer, [String; 2]) {
    let echo = |arguments: BTreeMap<String, String>, _: Context| async move { Ok(format!("{arguments:?}")) };
    let template =
        |vars: BTreeMap<String, String>, _: Context| async move { Ok(format!("item {}", vars["id"])) };
    let registry = Registry::new()
        .with(Tool::raw("ask_much", "Asks three questions in two rounds", NOTHING, ask_much))
        .with(Tool::raw("change_all", "Announces changes", NOTHING, change_all))
        .resource(Resource::text("test://watched", "watched", "quiet"))
        .resource(Resource::new("test://bytes", "bytes", |_| async { Ok(vec![0_u8, 255]) }))
        .resource_template(
            ResourceTemplate::new("test://item/{id}", "item", template).complete("id", complete),
        )
        .prompt(
            Prompt::raw("greet", "Greets", [ringmesh::mcp::PromptArgument::new("city")], echo)
                .complete("city", complete),
        );
    // The port is free again as soon as it is known; another test takes it in between by a rare accident only.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let config = ServerConfig { p2p_listen: vec![format!("/ip4/127.0.0.1/tcp/{port}")], ..config() };
    let server = TestServer::run(Server::new(config).registry(registry));
    let health = server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
    let peer = health["p2p"]["listen"][0].as_str().unwrap().to_owned();
    let targets = [format!("http://{}/mcp", server.addr), peer];
    (server, targets)
}

/// Runs the test against a server of its own in each revision that both sides speak, over each transport.
fn in_each<Fut>(test: impl Fn(Client, Scope) -> Fut + Send + Copy + 'static)
where
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    let (_server, targets) = server();
    let ways =
        targets.iter().flat_map(|target| Revision::ALL.iter().map(move |revision| (target, *revision)));
    for (target, revision) in ways {
        let target = target.clone();
        let dialled = target.clone();
        let body = move |scope: Scope| async move {
            let mut options = ClientOptions::new("test", "1.0.0")
                .on_elicit(|_| async { Ok(ElicitReply::accept([])) })
                .on_sample(|request| async move {
                    Ok(SampleReply::text("m", format!("hello {}", request.messages[0]["content"]["text"])))
                })
                .on_roots(|| async { Ok(vec![Root { uri: "file:///a".into(), name: None }]) });
            options.revision = Some(revision);
            let client = Client::connect(&scope, &dialled, options).await?;
            let late = async {
                sleep(common::PATIENCE).await;
                Err(format!("{revision}: not in time").into())
            };
            or(test(client.clone(), scope.clone()), late).await?;
            client.close().await?;
            Ok(())
        };
        client::run(body).unwrap_or_else(|error| panic!("{target}, {revision}: {error}"));
    }
}

#[test]
fn questions_are_answered_in_the_way_of_the_revision() {
    in_each(|client, _| async move {
        let call = || client.call_tool("ask_much", json!({}));
        let (one, two) = zip(call(), call()).await;
        if client.revision() < Revision::V2025_06_18 {
            let refused = one.unwrap_err();
            assert!(refused.to_string().contains("elicitation"), "it came with 2025-06-18: {refused}");
            return Ok(());
        }
        for result in [one?, two?] {
            assert_eq!(result.text(), "nobody: hello \"nobody\", 1");
        }
        Ok(())
    });
}

#[test]
fn resources_prompts_and_completion() {
    in_each(|client, _| async move {
        let uris: Vec<String> =
            client.list_resources().await?.into_iter().map(|resource| resource.uri).collect();
        assert_eq!(uris, ["test://watched", "test://bytes"]);
        assert_eq!(client.list_resource_templates().await?[0].uri_template, "test://item/{id}");
        let read = client.read_resource("test://bytes").await?;
        assert_eq!(read.contents[0].bytes().unwrap(), [0, 255]);
        assert_eq!(client.read_resource("test://item/7").await?.contents[0].text.as_deref(), Some("item 7"));
        // Among old peers -32002 is a tool that is not known.
        let old_peer = client.revision() == Revision::V2024_11_05 && !client.target().starts_with("http");
        let code = if client.revision().is_modern() || old_peer { -32602 } else { -32002 };
        assert_eq!(client.read_resource("test://none").await.unwrap_err().protocol().unwrap().code, code);
        let prompt = &client.list_prompts().await?[0];
        assert_eq!((prompt.name.as_str(), prompt.arguments[0].name.as_str()), ("greet", "city"));
        let filled = client.get_prompt("greet", [("city".to_owned(), "ü".to_owned())].into()).await?;
        assert_eq!(filled.messages[0].content.as_text(), Some(r#"{"city": "ü"}"#));
        let targets = [
            (CompletionTarget::Prompt("greet".into()), "city"),
            (CompletionTarget::ResourceTemplate("test://item/{id}".into()), "id"),
        ];
        for (target, argument) in targets {
            let completion = client.complete(target, argument, "par", BTreeMap::new()).await?;
            assert_eq!(completion.values, ["paris", "park", "party"]);
        }
        Ok(())
    });
}

#[test]
fn changes_arrive_where_the_server_has_a_stream_for_them() {
    in_each(|client, scope| async move {
        let mut changes = client.listen(ListenFilter::default().tools().resource("test://watched")).await?;
        if !changes.is_live() {
            return Ok(());
        }
        assert_eq!(*changes.granted(), ListenFilter::default().tools().resource("test://watched"));
        client.call_tool("change_all", json!({})).await?;
        let mut all = vec![changes.next().await.unwrap()?, changes.next().await.unwrap()?];
        all.sort_by_key(|change| format!("{change:?}"));
        assert_eq!(all, [Change::Resource { uri: "test://watched".into() }, Change::Tools]);
        changes.close().await?;
        sleep(Duration::from_millis(50)).await;
        if client.target().starts_with("http") {
            assert!(scope.tasks() <= 1, "only what the server says on its own is still heard");
        }
        Ok(())
    });
}
