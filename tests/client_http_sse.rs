//! The client against servers that speak the HTTP+SSE transport of 2024-11-05 and no other.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and a shared file is used in part"
)]

#[path = "client_http/server.rs"]
mod server;

use std::cell::Cell;
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::{or, zip};
use ringmesh::client::{self, CallOptions, Client, ClientError, ClientOptions, Revision, Root};
use ringmesh::runtime::{Scope, sleep};
use serde_json::{Value, json};
use server::{Peer, Server};

const PATIENCE: Duration = Duration::from_secs(10);

type Stream = Arc<Mutex<Option<TcpStream>>>;

fn say(stream: &Stream, message: &Value) {
    let stream = stream.lock().unwrap();
    stream.as_ref().unwrap().write_all(format!("event: message\ndata: {message}\n\n").as_bytes()).unwrap();
}

/// Answers one message of the client on the stream.
fn react(stream: &Stream, message: &Value) {
    let result =
        |result: Value| say(stream, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
    match message["method"].as_str() {
        Some("initialize") => {
            result(json!({ "protocolVersion": "2024-11-05", "capabilities": { "tools": {} },
            "serverInfo": { "name": "old", "version": "1" } }))
        }
        Some("tools/call") if message["params"]["name"] == "break" => {
            stream.lock().unwrap().as_ref().unwrap().shutdown(Shutdown::Both).unwrap();
        }
        Some("tools/call") if message["params"]["name"] == "ask" => {
            say(stream, &json!({ "jsonrpc": "2.0", "id": message["id"], "method": "roots/list" }));
        }
        Some("tools/call") => {
            let token = &message["params"]["_meta"]["progressToken"];
            let params = json!({ "progressToken": token, "progress": 1 });
            say(stream, &json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }));
            result(json!({ "content": [{ "type": "text", "text": message["params"]["name"] }] }));
        }
        // The answer to the question ends the call that led to it, which has the same id.
        None if message["result"]["roots"].is_array() => result(json!({ "content": [] })),
        _ => {}
    }
}

fn old(endpoint: &'static str) -> Server {
    let stream = Stream::default();
    Server::start(move |mut peer: Peer| {
        while let Some(request) = peer.request() {
            if request.starts_with("GET /mcp ") {
                peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
                peer.send(&format!("event: endpoint\ndata: {endpoint}\n\n"));
                *stream.lock().unwrap() = Some(peer.socket.try_clone().unwrap());
            } else if request.starts_with("POST /messages?id=1 ") {
                peer.send("HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted");
                let body = request.split_once("\r\n\r\n").unwrap().1;
                react(&stream, &serde_json::from_str(body).unwrap());
            } else {
                peer.send("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
            }
        }
    })
}

fn run<Fut>(endpoint: &'static str, test: impl FnOnce(Scope, String) -> Fut + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    let server = old(endpoint);
    let target = server.url();
    let bounded = |scope| async move {
        let done = async {
            test(scope, target).await;
            Ok(())
        };
        let late = async {
            sleep(PATIENCE).await;
            Err("the test did not end in time".into())
        };
        or(done, late).await
    };
    client::run(bounded).unwrap();
}

fn options() -> ClientOptions {
    ClientOptions::new("test", "1.0.0")
        .on_roots(|| async { Ok(vec![Root { uri: "file:///a".into(), name: None }]) })
}

#[test]
fn calls_progress_and_questions_share_one_stream() {
    run("/messages?id=1", |scope, target| async move {
        let client = Client::connect(&scope, &target, options()).await.unwrap();
        assert_eq!((client.revision(), &*client.server().name), (Revision::V2024_11_05, "old"));
        let call = async |name: &str| {
            let heard = Rc::new(Cell::new(0));
            let hear = heard.clone();
            let with = CallOptions::new().on_progress(move |_| hear.set(hear.get() + 1));
            let result = client.call_tool_with(name, json!({}), with).await.unwrap();
            assert_eq!((result.text().as_str(), heard.get()), (name, 1));
        };
        zip(call("a"), zip(call("b"), call("c"))).await;
        client.call_tool("ask", json!({})).await.unwrap();
        client.close().await.unwrap();
        scope.wait_idle().await;
    });
}

#[test]
fn a_stream_that_breaks_fails_what_waits_for_it() {
    run("/messages?id=1", |scope, target| async move {
        let client = Client::connect(&scope, &target, options()).await.unwrap();
        let error = client.call_tool("break", json!({})).await.unwrap_err();
        assert!(matches!(error, ClientError::Transport { .. }), "{error}");
        let error = client.call_tool("a", json!({})).await.unwrap_err();
        assert!(matches!(error, ClientError::Transport { .. }), "{error}");
        drop(client);
        scope.wait_idle().await;
    });
}

#[test]
fn messages_do_not_go_to_another_server() {
    run("http://127.0.0.1:1/messages", |scope, target| async move {
        let error = Client::connect(&scope, &target, options()).await.unwrap_err();
        assert!(error.to_string().contains("outside of the server"), "{error}");
        assert_eq!(scope.tasks(), 0);
    });
}

#[test]
fn dropping_the_client_closes_the_stream() {
    run("/messages?id=1", |scope, target| async move {
        let client = Client::connect(&scope, &target, options()).await.unwrap();
        assert!(scope.tasks() > 0);
        drop(client);
        scope.wait_idle().await;
    });
}
