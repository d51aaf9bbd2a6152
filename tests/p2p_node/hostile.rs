//! Peers that mean no good: they lose what is theirs, and nobody else anything.

use std::cell::Cell;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use ringmesh::p2p::MCP_PROTOCOL;
use ringmesh::runtime::{Stream, sleep};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::common::{PATIENCE, tools};
use crate::support::{as_peer, bare, dumb, ping, ping_stream, serve, serve_with, status};

#[test]
fn garbage_ends_its_connection() {
    let peer = serve();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x13/multistream/1.0.0\n\x07/nonsense",
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff\x00\x00garbage",
        &[0xff; 4_096],
        &[0; 4_096],
    ] {
        let mut stream = peer.dumb();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
    tools::eventually("all are gone", || peer.connections() == 0);
    let failed =
        |reason: &str| peer.metric(&format!("ringmesh_p2p_handshakes_failed_total{{reason=\"{reason}\"}}"));
    assert_eq!(["ended", "protocol", "noise"].map(failed).iter().sum::<u64>(), 5);
    peer.still_serves();
}

#[test]
fn a_connection_each_millisecond_is_seen_by_nobody_else() {
    let peer = serve_with(|config| config.limits.p2p_handshake_timeout_ms = 500);
    let (address, target) = (peer.socket_addr(), peer.address.clone());
    let (stop, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flood = std::thread::spawn({
        let (stop, opened) = (stop.clone(), opened.clone());
        move || {
            let mut held = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                let mut stream = dumb(address);
                let _ = stream.write_all(b"\x13/multistream/1.0.0\n");
                held.push_back(stream);
                // Some go, some stay for a while.
                if held.len() > 200 {
                    held.pop_front();
                }
                opened.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let seen = opened.clone();
    let slowest = as_peer(move |node, _| async move {
        let mut slowest = Duration::ZERO;
        let end = Instant::now() + PATIENCE;
        while seen.load(Ordering::Relaxed) < 1_000 && Instant::now() < end {
            let begun = Instant::now();
            assert_eq!(status(&node, &target).await.unwrap()["ok"], true);
            slowest = slowest.max(begun.elapsed());
            sleep(Duration::from_millis(2)).await;
        }
        slowest
    });
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert!(opened.load(Ordering::Relaxed) >= 500, "the flood was one");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    tools::eventually("nothing is left of it", || peer.connections() == 0);
    peer.still_serves();
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let peer = serve_with(|config| config.limits.write_timeout_ms = 500);
    let (target, address) = (peer.address.clone(), peer.socket_addr());
    as_peer(move |node, scope| async move {
        let mut other = ping_stream(&node, &target).await.unwrap();
        let pause = Rc::new(Cell::new(false));
        // With little room at the peer, what the server has to say stays with the server.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).unwrap();
        socket.set_nonblocking(true).unwrap();
        let stream = Stream::from_std(socket.into()).unwrap();
        let handle = bare(&scope, stream, target.peer_id, pause.clone()).await;
        let mut streams = Vec::new();
        // Their windows together stay below what this side keeps unread, else it would end the connection itself.
        for _ in 0..40 {
            let (mut stream, _) = handle.open(&[MCP_PROTOCOL]).await.unwrap();
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            let params =
                json!({ "name": "big", "arguments": { "count": 0, "bytes": 1_000_000 }, "_meta": meta });
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
            let request = request.to_string();
            stream.write_all(&u32::try_from(request.len()).unwrap().to_be_bytes()).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            streams.push(stream);
        }
        // What was written has left once it is answered.
        let first = streams.last_mut().unwrap().read(&mut [0; 4]).await.unwrap();
        assert!(first > 0);
        pause.set(true);
        for _ in 0..30 {
            sleep(Duration::from_millis(50)).await;
            ping(&mut other).await.unwrap();
        }
        drop(streams);
    });
    tools::eventually("it was given up", || peer.hits("write_timeout_ms") >= 1);
    tools::eventually("nothing is left of it", || peer.connections() == 0);
    peer.still_serves();
}

#[test]
fn a_flood_of_streams_costs_the_flooder_its_connection() {
    let peer = serve_with(|config| config.limits.max_p2p_connection_streams = 16);
    let (target, address) = (peer.address.clone(), peer.socket_addr());
    as_peer(move |node, scope| async move {
        let mut other = ping_stream(&node, &target).await.unwrap();
        let stream = Stream::connect(address, PATIENCE).await.unwrap();
        let handle = bare(&scope, stream, target.peer_id, Rc::default()).await;
        let mut streams = Vec::new();
        for _ in 0..900 {
            let Ok((mut stream, _)) = handle.open(&["/ipfs/ping/1.0.0"]).await else { break };
            let _ = stream.write_all(&[1; 8]).await;
            streams.push(stream);
        }
        for _ in 0..10 {
            ping(&mut other).await.unwrap();
        }
        handle.abort();
    });
    assert!(peer.hits("max_p2p_connection_streams") >= 1);
    peer.still_serves();
}
