//! Ports: of libp2p alone, shared with HTTP, on every core, or none.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use ringmesh::{Server, ServerError};
use serde_json::json;

use crate::common::{self, Client, PATIENCE, TestServer, call, text, tools};
use crate::support::{PeerServer, as_peer, by_core, dumb, health, serve_with, status};

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn shared(set: impl FnOnce(&mut ringmesh::ServerConfig)) -> PeerServer {
    let port = free_port();
    serve_with(|config| {
        config.listen = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        config.p2p_listen = vec![format!("/ip4/127.0.0.1/tcp/{port}")];
        set(config);
    })
}

/// A connection with a place: the set-up has asked for the address, and its own connection may hold one still.
fn placed(peer: &PeerServer) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = peer.server.client();
        client.try_send(LIVEZ);
        match client.try_answer() {
            Ok(answer) if answer.status == 200 => return client,
            answer => assert!(Instant::now() < deadline, "no place came free: {answer:?}"),
        }
    }
}

#[test]
fn one_port_serves_http_and_libp2p() {
    let peer = shared(|_| {});
    assert_eq!(peer.socket_addr(), peer.server.addr);
    let mut client = peer.server.client();
    for _ in 0..3 {
        let answer = client.call("echo", json!({ "message": "http" }));
        assert_eq!(text(&answer.json()), "http");
    }
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        for _ in 0..3 {
            assert_eq!(status(&node, &target).await.unwrap()["ok"], true);
        }
    });
    assert_eq!(client.call("echo", json!({ "message": "still" })).status, 200);
    let connections = peer.metric("ringmesh_connections_accepted_total{core=\"0\"}");
    let connections = connections + peer.metric("ringmesh_connections_accepted_total{core=\"1\"}");
    assert!(connections >= 1 && peer.accepted() == 1);
}

#[test]
fn on_a_shared_port_a_request_in_pieces_is_still_one() {
    let peer = shared(|_| {});
    let mut client = peer.server.client();
    for byte in call("echo", json!({ "message": "bytes" })) {
        client.send([byte]);
    }
    assert_eq!(text(&client.answer().json()), "bytes");
    // Not even the wrong answer changes.
    let answer = peer.server.client().ask("\u{14}nonsense\r\n\r\n");
    assert_eq!(answer.status, 400);
}

#[test]
fn on_a_shared_port_the_first_byte_has_the_time_of_a_head() {
    let peer = shared(|config| {
        config.limits.header_timeout_ms = 200;
        config.limits.max_connections = 50;
    });
    let mut silent: Vec<_> = (0..10).map(|_| dumb(peer.server.addr)).collect();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    }
    assert_eq!(peer.hits("header_timeout_ms"), 10);
    // Garbage that begins like libp2p is libp2p's to refuse.
    let mut liar = dumb(peer.server.addr);
    liar.write_all(b"\x13/multistrXXm/1.0.0\n").unwrap();
    let mut rest = Vec::new();
    let _ = liar.read_to_end(&mut rest);
    assert_eq!(peer.metric("ringmesh_p2p_handshakes_failed_total{reason=\"protocol\"}"), 1);
    peer.still_serves();
}

#[test]
fn every_core_accepts_peers() {
    let peer = serve_with(|_| {});
    // The kernel spreads connections by their ports, so enough of them reach every core.
    for _ in 0..60 {
        let target = peer.address.clone();
        as_peer(move |node, _| async move {
            assert_eq!(status(&node, &target).await.unwrap()["ok"], true);
        });
        let cores = by_core(&peer.server, "ringmesh_p2p_connections_total", "direction=\"accepted\"");
        if cores.iter().all(|connections| *connections > 0) {
            return;
        }
    }
    panic!("one core got none of 60 connections");
}

#[test]
fn without_libp2p_there_is_none_of_it() {
    let port = free_port();
    let mut config = common::config();
    config.p2p = false;
    config.p2p_listen = vec![format!("/ip4/127.0.0.1/tcp/{port}")];
    let server = TestServer::start(config);
    assert!(health(&server).get("p2p").is_none());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    let metrics = server.client().ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!metrics.text().contains("ringmesh_p2p_"));
}

#[test]
fn a_port_that_is_taken_is_refused_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut config = common::config();
    config.p2p_listen = vec![format!("/ip4/127.0.0.1/tcp/{}", address.port())];
    let error = Server::new(config).run().unwrap_err();
    assert!(matches!(&error, ServerError::Bind { address: refused, .. } if *refused == address), "{error}");
}

#[test]
fn http_that_is_full_says_so_on_a_shared_port() {
    let peer = shared(|config| config.limits.max_connections = 3);
    let ask = || peer.server.client().ask(LIVEZ);
    // Each has its place when the next one comes: without an answer, one of them might be the one turned away.
    let held = [(); 3].map(|()| placed(&peer));
    tools::eventually("the next one is turned away", || {
        let answer = ask();
        answer.status == 503 && answer.json()["error"]["limit"] == "max_connections"
    });
    drop(held);
    tools::eventually("there is room again", || ask().status == 200);
}

#[test]
fn http_that_is_full_leaves_peers_their_way_in() {
    let peer = shared(|config| {
        config.limits.max_connections = 1;
        config.limits.header_timeout_ms = 1_000;
    });
    let mut http = placed(&peer);
    for _ in 0..4 {
        let target = peer.address.clone();
        let answer = as_peer(move |node, _| async move { status(&node, &target).await });
        assert_eq!(answer.unwrap()["ok"], true);
    }
    assert_eq!(peer.server.client().ask(LIVEZ).status, 503);
    // Who says nothing is not waited for longer than anybody else.
    let mut silent = dumb(peer.server.addr);
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(http.ask(LIVEZ).status, 200);
}
