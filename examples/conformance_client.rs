//! The client under test of the official conformance suite: it uses everything that a scenario's server offers.
//!
//! The suite names the scenario, its context and the revision in the environment, and the server as the last argument.

use std::collections::BTreeMap;

use futures_lite::future::zip;
use ringmesh::BoxError;
use ringmesh::client::{
    self, Client, ClientError, ClientOptions, ElicitReply, Revision, Root, SampleReply, ToolDescription,
};
use serde_json::{Value, json};

fn main() -> Result<(), BoxError> {
    ringmesh::init_tracing("info,ringmesh=debug", ringmesh::LogFormat::Text)?;
    let target = std::env::args().next_back().ok_or("the last argument must be the server's URL")?;
    client::run(|scope| async move {
        let client = Client::connect(&scope, &target, options()?).await?;
        let used = use_everything(&client).await;
        let closed = client.close().await;
        used?;
        Ok(closed?)
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn options() -> Result<ClientOptions, BoxError> {
    let mut options = ClientOptions::new("ringmesh-conformance-client", env!("CARGO_PKG_VERSION"))
        .on_elicit(|_| async { Ok(ElicitReply::accept([])) })
        .on_sample(|_| async { Ok(SampleReply::text("test-model", "a reply")) })
        .on_roots(|| async { Ok(vec![Root { uri: "file:///tmp".to_owned(), name: None }]) });
    if let Some(name) = variable("MCP_CONFORMANCE_PROTOCOL_VERSION") {
        let revision = Revision::parse(&name).ok_or_else(|| format!("revision {name} is not spoken here"))?;
        options.revision = Some(revision);
    }
    Ok(options)
}

async fn use_everything(client: &Client) -> Result<(), BoxError> {
    let server = client.server();
    if server.offers("tools") {
        use_tools(client).await?;
    }
    if server.offers("resources") {
        for resource in client.list_resources().await? {
            report(&resource.uri, client.read_resource(&resource.uri).await.map(drop));
        }
    }
    if server.offers("prompts") {
        for prompt in client.list_prompts().await? {
            let arguments: BTreeMap<String, String> =
                prompt.arguments.iter().map(|argument| (argument.name.clone(), "value".to_owned())).collect();
            report(&prompt.name, client.get_prompt(&prompt.name, arguments).await.map(drop));
        }
    }
    // A sign of life at the end: some scenarios look at nothing but an ordinary request.
    Ok(client.ping().await?)
}

async fn use_tools(client: &Client) -> Result<(), BoxError> {
    let tools = client.list_tools().await?;
    let context: Value =
        serde_json::from_str(&variable("MCP_CONFORMANCE_CONTEXT").unwrap_or("{}".to_owned()))?;
    let mut calls: Vec<(String, Value)> = match context["toolCalls"].as_array() {
        Some(calls) => calls.iter().map(|call| (text(&call["name"]), call["arguments"].clone())).collect(),
        None => tools.iter().map(|tool| (tool.name.clone(), arguments(tool, &tools))).collect(),
    };
    // Two at a time: what belongs to one call must not get into another.
    while let Some((name, arguments)) = calls.pop() {
        let first = client.call_tool(&name, arguments);
        match calls.pop() {
            None => report(&name, first.await.map(drop)),
            Some((other, arguments)) => {
                let (one, two) = zip(first, client.call_tool(&other, arguments)).await;
                report(&name, one.map(drop));
                report(&other, two.map(drop));
            }
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Arguments that fit a tool's schema; a tool that takes a schema gets that of another tool, word for word.
fn arguments(tool: &ToolDescription, tools: &[ToolDescription]) -> Value {
    let schema = tool.input_schema.value();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let other = tools.iter().find(|other| other.name != tool.name);
    let sample = |(name, property): (String, Value)| {
        let value = match (property["type"].as_str(), other) {
            (Some("object"), Some(other)) if name == "schema" => other.input_schema.value(),
            (Some("number" | "integer"), _) => json!(3),
            (Some("boolean"), _) => json!(true),
            (Some("object"), _) => json!({}),
            (Some("array"), _) => json!([]),
            _ => json!("value"),
        };
        (name, value)
    };
    Value::Object(properties.into_iter().map(sample).collect())
}

fn report(what: &str, done: Result<(), ClientError>) {
    match done {
        Ok(()) => tracing::info!(what, "used"),
        Err(error) => tracing::warn!(what, %error, "could not be used"),
    }
}
