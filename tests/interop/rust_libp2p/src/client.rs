//! Uses a running node: keys of each kind, both protocols, and what goes wrong on purpose.

use std::error::Error;
use std::time::Duration;

use futures::AsyncWriteExt as _;
use futures::future::{FutureExt as _, LocalBoxFuture, try_join_all};
use libp2p::identity::Keypair;
use libp2p::{PeerId, Stream};
use serde_json::{Value, json};

use crate::Keys;
use crate::node::{self, Node};
use crate::wire::{MCP, TASK_QUEUE, ends, read_frame, read_line, write_frame, write_line};

const TIMEOUT: Duration = Duration::from_secs(30);
const STREAMS: usize = 200;
const MEGABYTE: usize = 1_000_000;

type Outcome = Result<(), Box<dyn Error>>;
type Case = for<'a> fn(&'a Node) -> LocalBoxFuture<'a, Outcome>;

fn check(holds: bool, what: impl ToString) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_string().chars().take(500).collect::<String>().into()) }
}

fn meta() -> Value {
    json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} })
}

fn echo(id: usize, message: &str) -> Value {
    let params = json!({ "name": "echo", "arguments": { "message": message }, "_meta": meta() });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

fn check_echo(answer: &Value, message: &str) -> Outcome {
    let content = json!([{ "type": "text", "text": message }]);
    check(answer["result"]["content"] == content && answer["result"]["resultType"] == "complete", answer)
}

async fn ask(stream: &mut Stream, message: &Value) -> Result<Value, Box<dyn Error>> {
    write_frame(stream, message).await?;
    let answer = read_frame(stream).await?;
    check(answer["id"] == message["id"], &answer)?;
    Ok(answer)
}

async fn identify(node: &Node) -> Outcome {
    let told = node.sees(|seen| seen.identified.clone()).await;
    let protocols: Vec<&str> = told.protocols.iter().map(AsRef::as_ref).collect();
    for protocol in
        [MCP.as_ref(), TASK_QUEUE.as_ref(), "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"]
    {
        check(protocols.contains(&protocol), format!("{protocol} is not in {protocols:?}"))?;
    }
    check(told.agent_version.starts_with("ringmesh/"), &told.agent_version)?;
    check(
        told.public_key.to_peer_id() == node.peer && !told.listen_addrs.is_empty(),
        "another key, or no address",
    )
}

async fn ping(node: &Node) -> Outcome {
    node.sees(|seen| seen.pinged).await;
    Ok(())
}

async fn modern(node: &Node) -> Outcome {
    let mut stream = node.open(MCP).await?;
    for id in 0..20 {
        write_frame(&mut stream, &echo(id, &format!("text {id}"))).await?;
    }
    let mut open: Vec<usize> = (0..20).collect();
    while !open.is_empty() {
        let answer = read_frame(&mut stream).await?;
        let id = answer["id"].as_u64().ok_or("no id")? as usize;
        let place = open.iter().position(|one| *one == id).ok_or("answered twice")?;
        check_echo(&answer, &format!("text {}", open.swap_remove(place)))?;
    }
    Ok(stream.close().await?)
}

async fn old_peer(node: &Node) -> Outcome {
    let mut stream = node.open(MCP).await?;
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} });
    let opened = ask(&mut stream, &initialize).await?;
    check(opened["result"]["protocolVersion"] == "2024-11-05" && opened["result"]["ok"] == true, &opened)?;
    let params = json!({ "name": "task_queue.rpc", "arguments": { "op": "status" } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let status = ask(&mut stream, &call).await?;
    let content = &status["result"]["content"];
    check(content["ok"] == true && content["peer_id"] == node.peer.to_string(), &status)?;
    stream.close().await?;
    let mut hasty = node.open(MCP).await?;
    let refused = ask(&mut hasty, &call).await?;
    check(refused["error"]["code"] == -32000 && ends(&mut hasty).await, refused)
}

async fn ask_line(node: &Node, line: &str) -> Result<Value, Box<dyn Error>> {
    let mut stream = node.open(TASK_QUEUE).await?;
    write_line(&mut stream, line).await?;
    let (answer, behind) = read_line(&mut stream).await?;
    check(behind == 0 && ends(&mut stream).await, "the stream goes on behind the line")?;
    Ok(answer)
}

async fn task_queue(node: &Node) -> Outcome {
    let status = ask_line(node, r#"{"op":"status"}"#).await?;
    check(status["ok"] == true && status["peer_id"] == node.peer.to_string(), &status)?;
    let beat = ask_line(node, r#"{"op":"heartbeat","peer_id":"somebody"}"#).await?;
    check(beat["ok"] == true && beat["peer"] == "somebody", &beat)?;
    for (line, error) in
        [(r#"{"op":"nonsense"}"#, "unknown_op"), ("[]", "invalid_message"), ("{", "invalid_json")]
    {
        let told = ask_line(node, line).await?;
        check(told["ok"] == false && told["error"] == error, told)?;
    }
    Ok(())
}

async fn megabyte(node: &Node) -> Outcome {
    let long = "x".repeat(MEGABYTE);
    let mut stream = node.open(MCP).await?;
    for id in 0..3 {
        check_echo(&ask(&mut stream, &echo(id, &long)).await?, &long)?;
    }
    let told = ask_line(node, &json!({ "op": "nonsense", "padding": long }).to_string()).await?;
    check(told["error"] == "unknown_op", told)
}

/// All are open before the first one asks, and all ask before the first one reads.
async fn two_hundred_streams(node: &Node) -> Outcome {
    let mut streams = try_join_all((0..STREAMS).map(|_| node.open(MCP))).await?;
    for (id, stream) in streams.iter_mut().enumerate() {
        write_frame(stream, &echo(id, &format!("stream {id}"))).await?;
    }
    for (id, stream) in streams.iter_mut().enumerate() {
        check_echo(&read_frame(stream).await?, &format!("stream {id}"))?;
    }
    drop(streams);
    try_join_all((0..STREAMS).map(|_| ask_line(node, r#"{"op":"status"}"#))).await?;
    check(!node.seen.lock().expect("nobody panics with the lock held").closed, "the connection was lost")
}

async fn not_offered(node: &Node) -> Outcome {
    let refused = node.open(libp2p::StreamProtocol::new("/no/such/protocol")).await;
    check(refused.is_err(), "a protocol that nobody serves was agreed on")?;
    ask_line(node, r#"{"op":"status"}"#).await.map(drop)
}

async fn wrong_peer(key: Keypair, address: &str) -> Outcome {
    let (place, _) = address.split_once("/p2p/").ok_or("the address names no peer")?;
    let connected = node::connect(key, &format!("{place}/p2p/{}", PeerId::random())).await;
    check(connected.is_err(), "connected to a peer that proved another id")
}

async fn with(key: Keypair, address: &str, case: Case) -> Outcome {
    let node = node::connect(key, address).await?;
    case(&node).await
}

pub async fn run(keys: &Keys, addresses: &[&str]) -> bool {
    let (first, others) = addresses.split_first().expect("there is an address");
    let usual: [(&str, Case); 5] = [
        ("identify", |node| identify(node).boxed_local()),
        ("ping", |node| ping(node).boxed_local()),
        ("modern", |node| modern(node).boxed_local()),
        ("old peer", |node| old_peer(node).boxed_local()),
        ("task queue", |node| task_queue(node).boxed_local()),
    ];
    let rest: [(&str, Case); 3] = [
        ("megabyte", |node| megabyte(node).boxed_local()),
        ("two hundred streams", |node| two_hundred_streams(node).boxed_local()),
        ("not offered", |node| not_offered(node).boxed_local()),
    ];
    let mut outcomes = Vec::new();
    for kind in Keys::KINDS {
        for (name, case) in usual {
            outcomes.push(told(&format!("{kind}, {name}"), with(keys.make(kind), first, case)).await);
        }
    }
    for (name, case) in rest {
        outcomes.push(told(name, with(keys.make("ed25519"), first, case)).await);
    }
    outcomes.push(told("wrong peer id", wrong_peer(keys.make("ed25519"), first)).await);
    for address in others {
        outcomes.push(
            told(&format!("task queue at {address}"), with(keys.make("ed25519"), address, usual[4].1)).await,
        );
    }
    let passed = outcomes.iter().filter(|good| **good).count();
    println!("{passed} passed, {} failed", outcomes.len() - passed);
    passed == outcomes.len()
}

/// Prints how a case went.
async fn told(name: &str, case: impl Future<Output = Outcome>) -> bool {
    let outcome =
        tokio::time::timeout(TIMEOUT, case).await.unwrap_or_else(|_| Err("not done in 30 s".into()));
    match &outcome {
        Ok(()) => println!("ok      rust-libp2p, {name}"),
        Err(error) => println!("FAILED  rust-libp2p, {name}: {error}"),
    }
    outcome.is_ok()
}
