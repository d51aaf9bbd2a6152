//! Listeners on the loopback interface: nothing that the kernel took is lost, and running out of descriptors is survived.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use futures_lite::future;
use ringmesh::runtime::{Listener, bind_reserved, sleep};
use runtime_support::on_executor;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[test]
fn a_reserved_port_is_shared_by_every_core() {
    on_executor(|| async {
        let (_reserved, addr) = bind_reserved(LOCAL).unwrap();
        assert_ne!(addr.port(), 0);
        let listeners = [Listener::bind(addr, 64).unwrap(), Listener::bind(addr, 64).unwrap()];
        let clients: Vec<_> = (0..40).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let mut counts = [0; 2];
        for (count, listener) in counts.iter_mut().zip(&listeners) {
            while let Some(_stream) = listener.try_accept().unwrap() {
                *count += 1;
            }
        }
        assert_eq!(counts[0] + counts[1], clients.len());
        assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
    });
}

#[test]
fn an_address_that_somebody_listens_on_cannot_be_reserved() {
    on_executor(|| async {
        let (reserved, addr) = bind_reserved(LOCAL).unwrap();
        let listener = Listener::bind(addr, 16).unwrap();
        assert_eq!(bind_reserved(addr).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop((reserved, listener));
        sleep(Duration::from_millis(20)).await;
        let (again, _) = bind_reserved(addr).unwrap();
        drop(again);
    });
}

#[test]
fn an_ipv6_listener_takes_ipv6_only() {
    on_executor(|| async {
        let wildcard = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let Ok(listener) = Listener::bind(wildcard, 16) else { return };
        let port = listener.local_addr().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
        if TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok() {
            assert!(listener.accept().await.unwrap().peer_addr().is_ipv6());
        }
    });
}

#[test]
fn a_stopped_listener_hands_out_all_it_took_and_then_refuses() {
    on_executor(|| async {
        let listener = Listener::bind(LOCAL, 64).unwrap();
        let addr = listener.local_addr();
        let _clients: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
        listener.stopper().stop();
        assert!(listener.is_stopped());
        let late = TcpStream::connect_timeout(&addr, Duration::from_millis(100));
        assert!(late.is_err(), "no handshake begins after the stop");
        for _ in 0..20 {
            listener.accept().await.unwrap();
        }
        assert_eq!(listener.accept().await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            listener.accept().await.unwrap_err().kind(),
            io::ErrorKind::InvalidInput,
            "and stays stopped"
        );
        drop(listener);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn stopping_wakes_an_accept_that_waits() {
    on_executor(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let stopper = listener.stopper();
        let stop = async {
            sleep(Duration::from_millis(20)).await;
            stopper.stop();
            future::pending().await
        };
        let ended = future::or(async { listener.accept().await.map(drop).unwrap_err().kind() }, stop).await;
        assert_eq!(ended, io::ErrorKind::InvalidInput);
    });
}

#[test]
fn an_accept_that_is_dropped_loses_no_connection() {
    on_executor(|| async {
        let listener = Listener::bind(LOCAL, 64).unwrap();
        let addr = listener.local_addr();
        for _ in 0..50 {
            let dropped = future::or(async { Some(listener.accept().await) }, async {
                future::yield_now().await;
                None
            });
            assert!(dropped.await.is_none());
            let _client = TcpStream::connect(addr).unwrap();
            listener.accept().await.unwrap();
        }
    });
}

#[test]
fn closed_connections_and_dropped_accepts_leave_no_descriptor_open() {
    let open = |port: u16| {
        let port = format!(":{port:04X} ");
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        table.lines().filter(|line| line.contains(&port) && line.contains(" 01 ")).count()
    };
    on_executor(move || async move {
        let listener = Listener::bind(LOCAL, 64).unwrap();
        let addr = listener.local_addr();
        for _ in 0..500 {
            let client = TcpStream::connect(addr).unwrap();
            let mut stream = listener.accept().await.unwrap();
            drop(client);
            assert!(stream.read().await.unwrap().is_empty());
            drop(stream);
            let dropped = future::or(async { drop(listener.accept().await) }, future::yield_now());
            dropped.await;
        }
        sleep(Duration::from_millis(20)).await;
        assert_eq!(open(addr.port()), 0);
    });
}

/// Not a test of its own: it takes every descriptor of its process, so the next test runs it in one of its own.
#[test]
fn child_process_without_descriptors() {
    if std::env::var_os("RINGMESH_TEST_DESCRIPTORS").is_none() {
        return;
    }
    on_executor(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(listener.local_addr()).unwrap()).collect();
        let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
        // SAFETY: the kernel reads a limit that lives until it has.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        for _ in 0..10 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            sleep(Duration::from_millis(1)).await;
        }
        taken.truncate(taken.len() - 3);
        for _ in 0..3 {
            listener.accept().await.unwrap();
        }
    });
}

#[test]
fn without_descriptors_accept_says_so_at_once_and_goes_on_when_there_are_some() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process_without_descriptors", "--nocapture"])
        .env("RINGMESH_TEST_DESCRIPTORS", "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}
