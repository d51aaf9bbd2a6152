//! Each limit is hit from outside: the offender loses its stream or connection, it is counted, and nobody else notices.

use std::io::Read as _;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use ringmesh::limits::Limits;
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::node::NodeOptions;
use ringmesh::p2p::stack::OpenError;
use ringmesh::p2p::{IDENTIFY_PUSH_PROTOCOL, PING_PROTOCOL, TASK_QUEUE_PROTOCOL};
use ringmesh::runtime::{Stream, sleep};

use crate::common::{PATIENCE, tools};
use crate::support::{PeerServer, as_peer, as_peer_with, bare, ping, ping_stream, serve, serve_with, status};

fn limited(set: impl FnOnce(&mut Limits)) -> PeerServer {
    serve_with(|config| set(&mut config.limits))
}

/// Whether one connection more is refused, which may be so before this side knows that it was connected.
fn is_refused(peer: &PeerServer) -> bool {
    let Ok(mut stream) = TcpStream::connect(peer.socket_addr()) else { return true };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    is_ended(&mut stream)
}

/// Whether the server has ended the connection.
fn is_ended(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 256];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn connections() {
    let peer = limited(|limits| limits.max_p2p_connections = 2);
    let target = peer.address.clone();
    let mut held = [peer.dumb(), peer.dumb()];
    tools::eventually("both are counted", || peer.connections() == 2);
    assert!(is_refused(&peer));
    let error = as_peer(move |node, _| async move { status(&node, &target).await.unwrap_err() });
    assert!(error.contains("no libp2p connection to") || error.contains("cannot connect"), "{error}");
    assert!(peer.hits("max_p2p_connections") >= 2);
    assert!(peer.metric("ringmesh_p2p_handshakes_failed_total{reason=\"limit\"}") >= 2);
    held[0].set_nonblocking(true).unwrap();
    assert!(!is_ended(&mut held[0]), "those that are in stay in");
    drop(held);
    tools::eventually("there is room again", || peer.connections() == 0);
    peer.still_serves();
}

#[test]
fn accept_rate() {
    let peer = limited(|limits| limits.max_p2p_accepts_per_s = 3);
    // One that is refused may be so before this side knows that it was connected.
    let mut flood: Vec<_> = (0..20).filter_map(|_| TcpStream::connect(peer.socket_addr()).ok()).collect();
    let never_came = 20 - flood.len();
    flood.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    tools::eventually("most are refused", || peer.hits("max_p2p_accepts_per_s") >= 10);
    let ended = flood.iter_mut().filter_map(|stream| is_ended(stream).then_some(())).count();
    assert!((10..=17).contains(&(never_came + ended)), "{never_came} and {ended}");
    drop(flood);
    std::thread::sleep(Duration::from_millis(1_100));
    peer.still_serves();
}

#[test]
fn handshakes_in_progress_and_their_time() {
    let peer = serve_with(|config| {
        config.max_cores = Some(1);
        config.limits.max_p2p_handshakes = 2;
        config.limits.p2p_handshake_timeout_ms = 2_000;
    });
    let begun = Instant::now();
    let mut held = [peer.dumb(), peer.dumb()];
    tools::eventually("both are there", || peer.connections() == 2);
    assert!(is_refused(&peer));
    assert!(begun.elapsed() < Duration::from_millis(2_000));
    assert_eq!(peer.hits("max_p2p_handshakes"), 1);
    assert!(held.iter_mut().all(is_ended));
    assert!(begun.elapsed() >= Duration::from_millis(1_990) && begun.elapsed() < PATIENCE);
    assert_eq!(peer.hits("p2p_handshake_timeout_ms"), 2);
    assert_eq!(peer.metric("ringmesh_p2p_handshakes_failed_total{reason=\"timeout\"}"), 2);
    peer.still_serves();
}

#[test]
fn connections_of_one_peer() {
    let peer = limited(|limits| limits.max_p2p_connections_per_peer = 1);
    let identity = Identity::ephemeral();
    let (target, again) = (peer.address.clone(), identity.clone());
    as_peer_with(identity, NodeOptions::default(), move |node, _| async move {
        let mut first = ping_stream(&node, &target).await.unwrap();
        let second = std::thread::spawn({
            let target = target.clone();
            move || {
                as_peer_with(again, NodeOptions::default(), move |node, _| async move {
                    status(&node, &target).await.is_err()
                })
            }
        });
        assert!(crate::runtime_support::joined(second).await, "one is enough");
        ping(&mut first).await.unwrap();
    });
    assert!(peer.hits("max_p2p_connections_per_peer") >= 1);
    peer.still_serves();
}

#[test]
fn lists_of_peers() {
    let (friend, enemy) = (Identity::ephemeral(), Identity::ephemeral());
    let (allowed, denied) = (friend.peer_id().to_base58(), enemy.peer_id().to_base58());
    let both = vec![allowed.clone(), denied.clone()];
    let closed = serve_with(|config| {
        config.p2p_allow_only = true;
        config.p2p_allow_peers = both;
        config.p2p_deny_peers = vec![denied.clone()];
    });
    let open = serve_with(|config| config.p2p_deny_peers = vec![denied]);
    let ask = |who: &Identity, at: &PeerServer| {
        let target = at.address.clone();
        as_peer_with(who.clone(), NodeOptions::default(), move |node, _| async move {
            status(&node, &target).await.is_ok()
        })
    };
    assert!(ask(&friend, &closed) && !ask(&enemy, &closed) && !ask(&Identity::ephemeral(), &closed));
    assert!(!ask(&enemy, &open) && ask(&Identity::ephemeral(), &open));
    assert!(closed.metric("ringmesh_p2p_handshakes_failed_total{reason=\"denied\"}") >= 2);
}

#[test]
fn streams_of_one_connection() {
    let peer = limited(|limits| limits.max_p2p_connection_streams = 8);
    let target = peer.address.clone();
    let address = peer.socket_addr();
    as_peer(move |_, scope| async move {
        let stream = Stream::connect(address, PATIENCE).await.unwrap();
        let handle = bare(&scope, stream, target.peer_id, Rc::default()).await;
        let mut streams = Vec::new();
        for _ in 0..8 {
            let (mut stream, _) = handle.open(&[PING_PROTOCOL]).await.unwrap();
            ping(&mut stream).await.unwrap();
            streams.push(stream);
        }
        let (mut ninth, _) = handle.open(&[PING_PROTOCOL]).await.unwrap();
        assert!(ping(&mut ninth).await.is_err());
        for stream in &mut streams {
            ping(stream).await.unwrap();
        }
        streams.pop();
        sleep(Duration::from_millis(50)).await;
        let (mut next, _) = handle.open(&[PING_PROTOCOL]).await.unwrap();
        ping(&mut next).await.unwrap();
        handle.abort();
    });
    assert!(peer.hits("max_p2p_connection_streams") >= 1);
    peer.still_serves();
}

#[test]
fn streams_in_total() {
    let peer = limited(|limits| limits.max_p2p_streams = 8);
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(ping_stream(&node, &target).await.unwrap());
        }
        assert!(ping_stream(&node, &target).await.is_err());
        ping(&mut streams[0]).await.unwrap();
    });
    assert!(peer.hits("max_p2p_streams") >= 1);
    peer.still_serves();
}

#[test]
fn time_without_streams() {
    let peer = limited(|limits| limits.p2p_idle_timeout_ms = 300);
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        let mut stream = ping_stream(&node, &target).await.unwrap();
        sleep(Duration::from_millis(700)).await;
        ping(&mut stream).await.unwrap();
        assert_eq!(node.connections(), 1, "a stream keeps it");
        drop(stream);
        let begun = Instant::now();
        crate::support::eventually("the server closes it", || node.connections() == 0).await;
        assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    });
    assert_eq!(peer.hits("p2p_idle_timeout_ms"), 1);
    peer.still_serves();
}

#[test]
fn time_of_a_request() {
    let peer = limited(|limits| limits.p2p_request_timeout_ms = 300);
    let (target, address) = (peer.address.clone(), peer.socket_addr());
    as_peer(move |_, scope| async move {
        let stream = Stream::connect(address, PATIENCE).await.unwrap();
        let handle = bare(&scope, stream, target.peer_id, Rc::default()).await;
        // A push without a message, and an RPC without a line.
        for protocol in [&[IDENTIFY_PUSH_PROTOCOL], &[TASK_QUEUE_PROTOCOL]] {
            let (mut mute, _) = handle.open(protocol).await.unwrap();
            let begun = Instant::now();
            let read = mute.read(&mut [0]).await;
            assert!(read.is_err() || read.is_ok_and(|len| len == 0));
            assert!(begun.elapsed() >= Duration::from_millis(250) && begun.elapsed() < PATIENCE);
        }
        let (mut other, _) = handle.open(&[PING_PROTOCOL]).await.unwrap();
        ping(&mut other).await.unwrap();
        handle.abort();
    });
    assert_eq!(peer.hits("p2p_request_timeout_ms"), 2);
    peer.still_serves();
}

#[test]
fn time_of_a_negotiation() {
    let peer = limited(|limits| limits.p2p_request_timeout_ms = 300);
    let (target, address) = (peer.address.clone(), peer.socket_addr());
    as_peer(move |_, scope| async move {
        let stream = Stream::connect(address, PATIENCE).await.unwrap();
        let handle = bare(&scope, stream, target.peer_id, Rc::default()).await;
        // The server says that it does not speak this, and waits for another proposal, which never comes.
        let (mut undecided, _) = handle.open(&["/nobody/1.0.0"]).await.unwrap();
        let begun = Instant::now();
        undecided.flush().await.unwrap();
        let (mut other, _) = handle.open(&[PING_PROTOCOL]).await.unwrap();
        ping(&mut other).await.unwrap();
        crate::support::eventually("the server has given it up", || {
            futures_lite::future::block_on(futures_lite::future::poll_once(undecided.write(b"x")))
                .is_some_and(|written| written.is_err())
        })
        .await;
        assert!(begun.elapsed() >= Duration::from_millis(250) && begun.elapsed() < PATIENCE);
        ping(&mut other).await.unwrap();
        handle.abort();
    });
    assert_eq!(peer.hits("p2p_request_timeout_ms"), 1);
    assert_eq!(peer.metric("ringmesh_p2p_streams_total{protocol=\"_other\"}"), 1);
    peer.still_serves();
}

#[test]
fn bytes_that_nobody_reads() {
    let peer = limited(|limits| limits.max_p2p_connection_unread_bytes = 256 << 10);
    let (target, address) = (peer.address.clone(), peer.socket_addr());
    as_peer(move |node, scope| async move {
        let mut bystander = ping_stream(&node, &target).await.unwrap();
        let stream = Stream::connect(address, PATIENCE).await.unwrap();
        let handle = bare(&scope, stream, target.peer_id, Rc::default()).await;
        // Each stream holds less than its window; the echoes that nobody fetches hold the server's readers up.
        let mut streams = Vec::new();
        for _ in 0..8 {
            let (mut stream, _) = handle.open(&[PING_PROTOCOL]).await.unwrap();
            let flood = async { stream.write_all(&[7; 1 << 20]).await.is_ok() };
            let patience = async {
                sleep(Duration::from_millis(100)).await;
                false
            };
            assert!(!futures_lite::future::or(flood, patience).await, "the server takes it all");
            streams.push(stream);
            if handle.is_closed() {
                break;
            }
        }
        crate::support::eventually("the server ends the connection", || handle.is_closed()).await;
        ping(&mut bystander).await.unwrap();
    });
    assert_eq!(peer.hits("max_p2p_connection_unread_bytes"), 1);
    peer.still_serves();
}

#[test]
fn pings_of_one_stream() {
    let peer = limited(|limits| {
        limits.p2p_stream_idle_timeout_ms = 300;
        limits.max_p2p_requests_per_s = 1_000;
        limits.max_p2p_request_burst = 16;
    });
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        let mut steady = ping_stream(&node, &target).await.unwrap();
        for _ in 0..6 {
            sleep(Duration::from_millis(100)).await;
            ping(&mut steady).await.unwrap();
        }
        // Half a ping is none.
        steady.write_all(&[7; 16]).await.unwrap();
        steady.flush().await.unwrap();
        let begun = Instant::now();
        assert!(steady.read(&mut [0]).await.is_err(), "it was idle for too long");
        assert!(begun.elapsed() >= Duration::from_millis(150) && begun.elapsed() < PATIENCE);
        let mut hasty = ping_stream(&node, &target).await.unwrap();
        hasty.write_all(&[7; 32 * 200]).await.unwrap();
        hasty.flush().await.unwrap();
        assert!(hasty.read_to_end(&mut Vec::new()).await.is_err(), "too many at once");
    });
    assert_eq!((peer.hits("p2p_stream_idle_timeout_ms"), peer.hits("max_p2p_requests_per_s")), (1, 1));
    peer.still_serves();
}

#[test]
fn a_protocol_that_nobody_speaks_costs_its_stream() {
    let peer = serve();
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        let mut ping_on = ping_stream(&node, &target).await.unwrap();
        let error = node.open(&target, &["/nobody/1.0.0", "/speaks/1.0.0"]).await.unwrap_err();
        assert!(
            matches!(&error, ringmesh::p2p::node::DialError::Open(_, OpenError::Negotiate(_))),
            "{error}"
        );
        ping(&mut ping_on).await.unwrap();
        assert_eq!(node.connections(), 1);
    });
    assert!(peer.metric("ringmesh_p2p_streams_total{protocol=\"_other\"}") >= 1);
}
