//! How many connections the client's requests take.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and a shared file is used in part"
)]

#[path = "client_http/server.rs"]
mod server;

use std::time::Duration;

use ringmesh::client::{self, Client, ClientOptions, Revision};
use serde_json::{Value, json};
use server::{Peer, Server};

const PATIENCE: Duration = Duration::from_secs(10);

/// Answers every request with a stream that ends in order, `late` after its response.
fn streaming(late: Duration) -> Server {
    Server::start(move |mut peer: Peer| {
        while let Some(request) = peer.request() {
            let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
            let result = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "content": [],
                "serverInfo": { "name": "s", "version": "1" } });
            if body.get("id").is_none() {
                peer.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let event =
                format!("data: {}\n\n", json!({ "jsonrpc": "2.0", "id": body["id"], "result": result }));
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            peer.send(&format!("{head}{:x}\r\n{event}\r\n", event.len()));
            std::thread::sleep(late);
            peer.send("0\r\n\r\n");
        }
    })
}

fn connections(late: Duration, pause: Duration) -> usize {
    let server = streaming(late);
    let target = server.url();
    let used = client::run(move |scope| async move {
        let mut options = ClientOptions::new("test", "1.0.0");
        options.revision = Some(Revision::V2025_11_25);
        let client = Client::connect(&scope, &target, options).await?;
        for _ in 0..5 {
            ringmesh::runtime::sleep(pause).await;
            client.call_tool("t", json!({})).await?;
        }
        client.close().await?;
        Ok(())
    });
    used.unwrap();
    server.accepted()
}

#[test]
fn a_stream_that_ends_after_its_response_leaves_its_connection_to_the_next_request() {
    // Two at most: the notification right after `initialize` does not wait for its stream to end.
    assert!(connections(Duration::ZERO, Duration::from_millis(20)) <= 2);
    assert!(connections(Duration::from_millis(5), Duration::from_millis(60)) <= 2);
}

#[test]
fn a_stream_that_does_not_end_is_closed() {
    assert!(connections(Duration::from_millis(80), Duration::ZERO) > 1);
}
