//! Streams of a secured, multiplexed connection, which know more ends than a pipe does.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::pipe::pipe;
use super::{Bench, Peer, modern, modern_call, old_initialize, text, with_bench};
use crate::p2p::stack::{Handle, InboundStream, PeerStream, Role, StackOptions, upgrade};
use crate::p2p::{Keypair, MCP_PROTOCOL};
use crate::runtime;

const PROTOCOLS: &[&str] = &[MCP_PROTOCOL];

/// A connection whose every stream is served.
async fn connect(bench: &Rc<Bench>) -> Handle {
    let (near, far) = pipe(1 << 20);
    let serving = bench.clone();
    // Each side runs by itself: what the dialler says last in its handshake leaves with its driver.
    let listen = async move {
        let key = Keypair::generate_ed25519();
        let upgraded = upgrade(far, Role::Listener, &key, &StackOptions::default()).await;
        let (_handle, driver, _) = upgraded.unwrap();
        let inbound = |stream: InboundStream| {
            let bench = serving.clone();
            let negotiate = async move {
                if let Ok((stream, _)) = stream.negotiate(PROTOCOLS).await {
                    bench.serve(stream);
                }
            };
            serving.scope.spawn("negotiation", negotiate).unwrap();
        };
        drop(driver.run(inbound).await);
    };
    bench.scope.spawn("listener", listen).unwrap();
    let key = Keypair::generate_ed25519();
    let options = StackOptions::default();
    let (handle, driver, _) = upgrade(near, Role::Dialer { expected: None }, &key, &options).await.unwrap();
    bench.scope.spawn("dialler", async move { drop(driver.run(drop).await) }).unwrap();
    handle
}

async fn open(handle: &Handle) -> Peer<PeerStream> {
    Peer::over(handle.open(PROTOCOLS).await.unwrap().0)
}

#[test]
fn both_eras_share_a_connection() {
    with_bench(
        |_| {},
        async |bench| {
            let handle = connect(&bench).await;
            let (mut old, mut newer) = (open(&handle).await, open(&handle).await);
            assert_eq!(old.ask(&old_initialize()).await["result"]["ok"], true);
            let answer = newer.ask(&modern_call(1, "big", json!({"bytes": 1 << 20}))).await;
            assert_eq!(text(&answer).len(), 1 << 20);
            let status = super::call(1, "task_queue.rpc", json!({"op": "status"}));
            assert_eq!(old.ask(&status).await["result"]["content"]["ok"], true);
            old.half_close().await;
            assert_eq!(old.next_or_end().await, Ok(None));
            for id in 0..100 {
                newer.send(&modern_call(id, "nap", json!({"ms": 30}))).await;
            }
            for _ in 0..100 {
                assert_eq!(text(&newer.next().await.unwrap()), "slept 30");
            }
        },
    );
}

#[test]
fn a_reset_stream_cancels_its_calls_and_no_others() {
    with_bench(
        |_| {},
        async |bench| {
            let handle = connect(&bench).await;
            let (mut gone, mut other) = (open(&handle).await, open(&handle).await);
            gone.send(&modern_call(1, "nap", json!({"ms": 15_000}))).await;
            gone.ask(&modern_call(2, "look", json!({}))).await;
            other.send(&modern_call(1, "nap", json!({"ms": 200}))).await;
            other.ask(&modern(2, "server/discover", json!({}))).await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 2);
            drop(gone);
            runtime::sleep(Duration::from_millis(50)).await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 1);
            assert_eq!(text(&other.next().await.unwrap()), "slept 200");
        },
    );
}

#[test]
fn the_end_of_a_connection_cancels_all_its_calls() {
    with_bench(
        |_| {},
        async |bench| {
            let handle = connect(&bench).await;
            let mut peers = Vec::new();
            for id in 0..5 {
                let mut peer = open(&handle).await;
                peer.send(&modern_call(id, "nap", json!({"ms": 15_000}))).await;
                peer.ask(&modern_call("x", "look", json!({}))).await;
                peers.push(peer);
            }
            // One that said it has no more to ask waits for its answer, and shall not wait for ever.
            peers[0].half_close().await;
            runtime::sleep(Duration::from_millis(20)).await;
            assert_eq!(bench.core.metrics().requests_in_flight(), 5);
            handle.abort();
            while bench.core.metrics().requests_in_flight() > 0 {
                runtime::sleep(Duration::from_millis(20)).await;
            }
        },
    );
}
