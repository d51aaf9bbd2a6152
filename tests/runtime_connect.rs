//! Dialling real addresses on the loopback interface.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ringmesh::runtime::{Stream, connect_any, resolve};
use runtime_support::on_executor;
use socket2::{Domain, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(5);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[test]
fn a_silent_peer_is_asked_whether_it_is_still_there() {
    let (_listener, addr) = listener();
    on_executor(move || async move {
        let stream = connect_any(&[addr], PATIENCE).await.unwrap();
        assert!(socket2::SockRef::from(&stream).keepalive().unwrap());
    });
}

/// An address that refuses at once: bound, so that nobody else takes it, and not listening.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// An address that never answers: its queue of waiting connections is full.
fn silent() -> (Vec<Socket>, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap();
    let mut held = vec![socket];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&addr);
        held.push(filler);
    }
    std::thread::sleep(Duration::from_millis(20));
    (held, addr.as_socket().unwrap())
}

#[test]
fn a_connected_stream_carries_bytes() {
    let (listener, addr) = listener();
    let echo = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut bytes = [0; 4];
        socket.read_exact(&mut bytes).unwrap();
        socket.write_all(&bytes).unwrap();
    });
    on_executor(move || async move {
        let mut stream = Stream::connect(addr, PATIENCE).await.unwrap();
        let _ = stream.write(b"ping".to_vec());
        stream.flush().await.unwrap();
        assert_eq!(&*stream.read().await.unwrap(), b"ping");
    });
    echo.join().unwrap();
}

#[test]
fn a_refused_address_says_so_and_the_next_one_is_tried_at_once() {
    let ((_held, bad), (_listener, good)) = (refusing(), listener());
    on_executor(move || async move {
        let alone = Stream::connect(bad, PATIENCE).await.unwrap_err();
        assert_eq!(alone.kind(), ErrorKind::ConnectionRefused);
        let begun = Instant::now();
        let stream = connect_any(&[bad, good], PATIENCE).await.unwrap();
        assert_eq!(stream.peer_addr(), good);
        assert!(begun.elapsed() < Duration::from_secs(2));
        let error = connect_any(&[bad, bad], PATIENCE).await.unwrap_err();
        assert!(!error.timed_out && error.failures.len() == 2, "{error}");
        assert!(connect_any(&[], PATIENCE).await.unwrap_err().failures.is_empty());
    });
}

#[test]
fn a_silent_address_is_overtaken_by_the_next_and_ends_with_the_deadline() {
    let ((_held, bad), (_listener, good)) = (silent(), listener());
    on_executor(move || async move {
        let stream = connect_any(&[bad, good], PATIENCE).await.unwrap();
        assert_eq!(stream.peer_addr(), good);
        let begun = Instant::now();
        let error = connect_any(&[bad], Duration::from_millis(100)).await.unwrap_err();
        assert!(error.timed_out && begun.elapsed() < PATIENCE, "{error}");
        let error = Stream::connect(bad, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_name_that_cannot_exist_is_an_error_in_time() {
    on_executor(|| async {
        let begun = Instant::now();
        // RFC 6761: names under `invalid` do not exist.
        resolve("no-such-host.invalid", 80, PATIENCE).await.unwrap_err();
        assert!(begun.elapsed() < 2 * PATIENCE);
        let found = resolve("127.0.0.1", 80, PATIENCE).await.unwrap();
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 80))]);
    });
}
