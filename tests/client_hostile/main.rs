//! The client over HTTP against servers that behave badly: it fails soon, says why, and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and a shared file is used in part"
)]

#[path = "../client_http/server.rs"]
mod server;

use std::time::{Duration, Instant};

use futures_lite::future::or;
use ringmesh::client::{
    self, Client, ClientError, ClientOptions, ElicitReply, RetryPolicy, Revision, TransportError,
};
use ringmesh::runtime::{Scope, sleep};
use serde_json::{Value, json};
use server::{Peer, Server};

const PATIENCE: Duration = Duration::from_secs(10);

fn run<Fut>(test: impl FnOnce(Scope) -> Fut + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    let bounded = |scope| async move {
        let done = async {
            test(scope).await;
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
    let mut options = ClientOptions::new("test", "1.0.0");
    options.request_timeout = Duration::from_millis(400);
    options.retries =
        RetryPolicy { max_retries: 1, base: Duration::from_millis(1), ..RetryPolicy::default() };
    options
}

/// The body of a request, and its id.
fn body(request: &str) -> Value {
    let body = request.split_once("\r\n\r\n").map_or("", |parts| parts.1);
    serde_json::from_str(body).unwrap_or_default()
}

fn answer(peer: &mut Peer, request: &Value, result: Value) {
    peer.answer(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string());
}

/// A server of the new era that does `hostile` to every request but the first.
fn modern(hostile: impl Fn(&mut Peer, &Value) + Send + Sync + 'static) -> Server {
    Server::start(move |mut peer| {
        while let Some(request) = peer.request() {
            let request = body(&request);
            if request["method"] == "server/discover" {
                let tools = json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } });
                answer(&mut peer, &request, tools);
            } else {
                hostile(&mut peer, &request);
            }
        }
    })
}

fn stream(peer: &mut Peer) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
}

/// The error of a call to such a server.
fn call(
    hostile: impl Fn(&mut Peer, &Value) + Send + Sync + 'static,
    check: impl Fn(&ClientError) -> bool + Send + 'static,
) {
    let server = modern(hostile);
    let target = server.url();
    run(move |scope| async move {
        let mut options = options();
        options.limits.max_message_bytes = 10_000;
        let client = Client::connect(&scope, &target, options).await.unwrap();
        let began = Instant::now();
        let error = client.call_tool("t", json!({})).await.unwrap_err();
        assert!(check(&error), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "it failed soon");
        client.close().await.unwrap();
        assert_eq!(scope.tasks(), 0);
    });
}

fn is_transport(error: &ClientError) -> bool {
    matches!(error, ClientError::Transport { .. })
}

fn is_malformed(error: &ClientError) -> bool {
    matches!(error, ClientError::Malformed { .. })
}

fn is_timeout(error: &ClientError) -> bool {
    matches!(error, ClientError::Timeout { .. })
        || matches!(error, ClientError::Transport { error: TransportError::Timeout { .. }, .. })
}

#[test]
fn half_answers() {
    let close = |peer: &mut Peer| drop(peer.socket.shutdown(std::net::Shutdown::Both));
    call(
        move |peer, _| {
            peer.send("HTTP/1.1 20");
            close(peer)
        },
        is_transport,
    );
    call(
        move |peer, _| {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"json");
            close(peer)
        },
        is_transport,
    );
    call(
        move |peer, _| {
            stream(peer);
            peer.send("data: {\"jsonrpc\":");
            close(peer)
        },
        is_transport,
    );
    call(|peer, _| peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"json"), is_timeout);
}

#[test]
fn silence() {
    call(|_, _| (), is_timeout);
    call(|peer, _| stream(peer), is_timeout);
}

#[test]
fn answers_that_are_none() {
    call(|peer, _| peer.send("SSH-2.0-OpenSSH_9.6\r\n\r\n"), is_transport);
    call(|peer, _| peer.answer("{]"), is_malformed);
    call(|peer, _| peer.answer("{}"), is_malformed);
    call(|peer, _| peer.answer(&"[".repeat(5_000)), is_malformed);
    call(
        |peer, _| peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
        is_malformed,
    );
    call(|peer, _| peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), is_malformed);
    call(
        |peer, _| {
            stream(peer);
            peer.send("data: {]\n\n")
        },
        is_malformed,
    );
}

#[test]
fn answers_to_somebody_else() {
    call(|peer, _| peer.answer(r#"{"jsonrpc":"2.0","id":"another","result":{}}"#), is_malformed);
    call(
        |peer, _| {
            stream(peer);
            peer.send("data: {\"jsonrpc\":\"2.0\",\"id\":99999,\"result\":{}}\n\n")
        },
        is_timeout,
    );
    call(
        |peer, request| answer(peer, request, json!({ "resultType": "a type of tomorrow", "content": [] })),
        is_malformed,
    );
}

#[test]
fn more_than_is_allowed() {
    let too_large = |error: &ClientError| {
        matches!(error, ClientError::Limit { .. })
            || matches!(error, ClientError::Transport { error: TransportError::TooLarge { .. }, .. })
    };
    call(|peer, request| answer(peer, request, json!({ "content": "x".repeat(20_000) })), too_large);
    call(
        |peer, _| {
            stream(peer);
            peer.send(&format!("data: {}\n\n", "x".repeat(20_000)))
        },
        too_large,
    );
    call(
        |peer, _| {
            stream(peer);
            peer.send(&format!("data: {}", "x".repeat(1 << 20)))
        },
        too_large,
    );
    call(|peer, _| peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), too_large);
}

#[test]
fn a_stream_without_an_end() {
    let endless = |peer: &mut Peer, _: &Value| {
        stream(peer);
        let note = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/other\"}\n\n";
        let began = Instant::now();
        while began.elapsed() < PATIENCE
            && std::io::Write::write_all(&mut peer.socket, note.as_bytes()).is_ok()
        {
            std::thread::sleep(Duration::from_micros(200));
        }
    };
    call(endless, is_timeout);
}

#[test]
fn questions_without_an_end() {
    let server = modern(|peer, request| {
        let question =
            json!({ "method": "elicitation/create", "params": { "message": "?", "requestedSchema": {} } });
        answer(
            peer,
            request,
            json!({ "resultType": "input_required", "requestState": "s", "inputRequests": { "q": question } }),
        );
    });
    let target = server.url();
    run(move |scope| async move {
        let options = options().on_elicit(|_| async { Ok(ElicitReply::accept([])) });
        let client = Client::connect(&scope, &target, options).await.unwrap();
        let error = client.call_tool("t", json!({})).await.unwrap_err();
        assert_eq!(error, ClientError::Limit { limit: "max_rounds", max: 16 });
    });
}

#[test]
fn a_session_that_is_lost_for_ever() {
    let server = Server::start(|mut peer| {
        while let Some(request) = peer.request() {
            let request = body(&request);
            match request["method"].as_str() {
                Some("initialize") => {
                    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                        "serverInfo": { "name": "s", "version": "1" } });
                    let body = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
                    peer.send(&format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: x\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    ));
                }
                Some("notifications/initialized") => {
                    peer.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                }
                _ => peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            }
        }
    });
    let target = server.url();
    run(move |scope| async move {
        let client = Client::connect(&scope, &target, options()).await.unwrap();
        assert_eq!(client.revision(), Revision::V2025_11_25);
        let error = client.list_tools().await.unwrap_err();
        assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
        client.close().await.unwrap();
    });
}

#[test]
fn servers_that_agree_to_nothing() {
    let refuse = |answer: &'static str| {
        let server = Server::start(move |mut peer| {
            while peer.request().is_some() {
                peer.send(answer);
            }
        });
        let target = server.url();
        run(move |scope| async move {
            let error = Client::connect(&scope, &target, options()).await.unwrap_err();
            assert!(!error.to_string().is_empty());
            assert_eq!(scope.tasks(), 0);
        });
    };
    refuse("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    refuse("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    refuse("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    refuse("HTTP/1.1 503 Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n");
}
