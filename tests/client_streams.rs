//! The client and this crate's own server: changes in each revision, and streams that the server closes.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::time::Duration;

use common::config;
use futures_lite::future::or;
use ringmesh::client::{self, Change, Client, ClientOptions, ListenFilter, Revision};
use ringmesh::mcp::Context;
use ringmesh::runtime::{Scope, sleep};
use ringmesh::{BoxError, Registry, Server};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn in_each<Fut>(test: impl Fn(Client, Scope) -> Fut + Send + Clone + 'static)
where
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    let leave = |_: Nothing, context: Context| async move {
        context.progress(1.0, None, None).await;
        context.close_stream();
        sleep(Duration::from_millis(100)).await;
        Ok("came back")
    };
    let change = |_: Nothing, context: Context| async move {
        context.registry().tools_changed();
        context.registry().prompts_changed();
        Ok("changed")
    };
    let registry = Registry::new().dynamic().tool("leave", "Closes its stream", leave).tool(
        "change",
        "Announces changes",
        change,
    );
    let server = common::TestServer::run(Server::new(config()).registry(registry));
    for revision in Revision::ALL.iter().copied() {
        let target = format!("http://{}/mcp", server.addr);
        let test = test.clone();
        let body = move |scope: Scope| async move {
            let mut options = ClientOptions::new("test", "1.0.0");
            options.revision = Some(revision);
            let client = Client::connect(&scope, &target, options).await?;
            let late = async {
                sleep(common::PATIENCE).await;
                Err("not in time".into())
            };
            or(test(client.clone(), scope.clone()), late).await?;
            client.close().await?;
            Ok(())
        };
        client::run(body).unwrap_or_else(|error| panic!("{revision}: {error}"));
    }
}

#[test]
fn a_stream_that_the_server_closes_is_resumed() {
    in_each(|client, _| async move {
        let heard = std::rc::Rc::new(std::cell::Cell::new(0));
        let hear = heard.clone();
        let options = client::CallOptions::new().on_progress(move |_| hear.set(hear.get() + 1));
        let result = client.call_tool_with("leave", json!({}), options).await?;
        assert_eq!((result.text().as_str(), heard.get()), ("came back", 1));
        Ok(())
    });
}

#[test]
fn changes_of_lists_arrive() {
    in_each(|client, scope| async move {
        let mut subscription = client.listen(ListenFilter::default().tools()).await?;
        assert!(subscription.is_live() && subscription.granted().tools, "{:?}", subscription.granted());
        client.call_tool("change", json!({})).await?;
        assert_eq!(subscription.next().await, Some(Ok(Change::Tools)));
        client.call_tool("change", json!({})).await?;
        assert_eq!(subscription.next().await, Some(Ok(Change::Tools)));
        subscription.close().await?;
        while scope.tasks() > 0 {
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    });
}
