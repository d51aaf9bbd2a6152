//! Serves both protocols as outside nodes do.

use std::error::Error;

use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, Stream};
use serde_json::json;

use crate::Keys;
use crate::dialect::Dialect;
use crate::node::{self, Behaviour};
use crate::wire::{MCP, TASK_QUEUE, read_frame, read_line, write_frame, write_line};

pub async fn run(keys: &Keys) -> bool {
    for (name, kind) in Keys::KINDS.map(|kind| (kind, kind)).into_iter().chain([("old", "ed25519")]) {
        match start(keys, name, kind).await {
            Ok(address) => println!("listening {name} {address}"),
            Err(error) => {
                eprintln!("{name}: {error}");
                return false;
            }
        }
    }
    println!("ready");
    std::future::pending().await
}

async fn start(keys: &Keys, name: &'static str, kind: &str) -> Result<String, Box<dyn Error>> {
    let mut swarm = node::swarm(keys.make(kind))?;
    let me = *swarm.local_peer_id();
    accept(&swarm, name, me)?;
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    Ok(format!("{address}/p2p/{me}"))
}

/// Takes each stream into a task at once: this library drops the next one otherwise.
fn accept(swarm: &libp2p::Swarm<Behaviour>, name: &'static str, me: PeerId) -> Result<(), Box<dyn Error>> {
    let mut control = swarm.behaviour().control();
    let mut mcp = control.accept(MCP)?;
    let mut task_queue = control.accept(TASK_QUEUE)?;
    tokio::spawn(async move {
        while let Some((_, stream)) = mcp.next().await {
            tokio::spawn(serve_mcp(stream, name == "old"));
        }
    });
    tokio::spawn(async move {
        while let Some((peer, stream)) = task_queue.next().await {
            tokio::spawn(serve_task_queue(stream, name, peer, me));
        }
    });
    Ok(())
}

async fn serve_mcp(mut stream: Stream, only_old: bool) -> std::io::Result<()> {
    let mut dialect = Dialect::new(only_old);
    loop {
        let message = read_frame(&mut stream).await?;
        let Some((answer, goes_on)) = dialect.answer(&message) else { continue };
        write_frame(&mut stream, &answer).await?;
        if !goes_on {
            return stream.close().await;
        }
    }
}

async fn serve_task_queue(mut stream: Stream, name: &str, peer: PeerId, me: PeerId) -> std::io::Result<()> {
    let (request, _) = read_line(&mut stream).await?;
    let mut answer = json!({ "ok": true, "peer_id": me.to_string() });
    match request["op"].as_str() {
        Some("heartbeat" | "peer.heartbeat" | "peer") => {
            answer["peer"] = peer.to_string().into();
            answer["scheduler"] = json!({ "clock": null, "known_peers": [] });
            println!("heartbeat {name} {peer}");
        }
        Some("status") => answer["capabilities"] = json!({}),
        _ => answer = json!({ "ok": false, "error": "unknown_op", "peer_id": me.to_string() }),
    }
    write_line(&mut stream, &answer.to_string()).await?;
    stream.close().await
}
