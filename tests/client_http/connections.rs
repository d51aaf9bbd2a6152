//! Which connections are used again, and which never.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future;
use ringmesh::client::http::{HttpOptions, HttpTransport};
use ringmesh::client::{Outgoing, Transport, TransportError};
use ringmesh::runtime::{sleep, yield_now};

use super::server::Server;
use super::{PATIENCE, ask, on_executor, post, transport};

/// A server that answers every request of a connection with the connection's number.
fn counting() -> Server {
    Server::start(|mut peer| {
        while peer.request().is_some() {
            peer.answer(&peer.index.to_string());
        }
    })
}

#[test]
fn an_idle_connection_is_used_again_until_it_is_too_old() {
    let server = counting();
    let url = server.url();
    on_executor(move || async move {
        let idle_timeout = Duration::from_millis(700);
        let transport =
            HttpTransport::new(&url, HttpOptions { idle_timeout, ..HttpOptions::default() }).unwrap();
        for _ in 0..3 {
            assert_eq!(ask(&transport, post("")).await.unwrap(), "0");
        }
        sleep(2 * idle_timeout).await;
        assert_eq!(ask(&transport, post("")).await.unwrap(), "1", "too old");
        assert_eq!(transport.open_connections(), 1);
        transport.close().await;
        assert_eq!(transport.open_connections(), 0);
        assert_eq!(ask(&transport, post("")).await.unwrap(), "2");
        assert_eq!(transport.open_connections(), 0, "after the close nothing is kept");
    });
}

#[test]
fn answers_that_end_their_connection_are_not_followed_by_another_request() {
    for head in ["HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\nConnection: close"] {
        let server = Server::start(move |mut peer| {
            peer.request();
            peer.send(&format!("{head}\r\nContent-Length: 1\r\n\r\n{}", peer.index));
            assert!(peer.closed_silently(), "a request after {head}");
        });
        let url = server.url();
        on_executor(move || async move {
            let transport = transport(&url);
            assert_eq!(ask(&transport, post("")).await.unwrap(), "0");
            assert_eq!(ask(&transport, post("")).await.unwrap(), "1");
        });
    }
}

#[test]
fn bytes_left_over_end_a_connection_whether_they_come_with_the_answer_or_later() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.answer(&peer.index.to_string());
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        assert!(peer.closed_silently());
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        assert_eq!(ask(&transport, post("")).await.unwrap(), "0");
        sleep(Duration::from_millis(50)).await;
        assert_eq!(ask(&transport, post("")).await.unwrap(), "1");
    });
}

/// Answers the first request of the first connection. When the second request has come, it closes without a word.
fn closing_on_the_second() -> Server {
    Server::start(|mut peer| {
        let index = peer.index.to_string();
        peer.request();
        peer.answer(&index);
        if peer.request().is_some() && index != "0" {
            peer.answer(&index);
        }
    })
}

#[test]
fn a_connection_found_closed_is_replaced_and_no_request_is_lost() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.answer(&peer.index.to_string());
        peer.socket.shutdown(Shutdown::Both).unwrap();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        for index in 0..3 {
            let once = Outgoing { idempotent: false, ..post("") };
            assert_eq!(ask(&transport, once).await.unwrap(), index.to_string());
            sleep(Duration::from_millis(30)).await;
        }
    });
}

#[test]
fn an_unanswered_request_is_sent_again_only_if_it_may_be() {
    let server = closing_on_the_second();
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        assert_eq!(ask(&transport, post("")).await.unwrap(), "0");
        assert_eq!(ask(&transport, post("")).await.unwrap(), "1", "sent again");
    });
    assert_eq!(server.accepted(), 2);
    let server = closing_on_the_second();
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        assert_eq!(ask(&transport, post("")).await.unwrap(), "0");
        let once = Outgoing { idempotent: false, ..post("") };
        let lost = ask(&transport, once).await;
        assert_eq!(lost, Err(TransportError::Closed { before_answer: true }));
    });
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_fresh_connection_that_is_closed_is_not_tried_again() {
    let server = Server::start(|mut peer| drop(peer.request()));
    let url = server.url();
    on_executor(move || async move {
        let lost = ask(&transport(&url), post("")).await;
        assert_eq!(lost, Err(TransportError::Closed { before_answer: true }));
    });
    assert_eq!(server.accepted(), 1);
}

#[test]
fn connections_are_bounded_and_the_next_request_waits_for_one() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = Server::start(move |mut peer| {
        while peer.request().is_some() {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            open.fetch_sub(1, Ordering::SeqCst);
            peer.answer("ok");
        }
    });
    let url = server.url();
    on_executor(move || async move {
        let options = HttpOptions { max_connections: 2, max_idle: 1, ..HttpOptions::default() };
        let transport = HttpTransport::new(&url, options).unwrap();
        let ask = || ask(&transport, post(""));
        let pair = || future::zip(ask(), ask());
        let all = future::zip(future::zip(pair(), pair()), future::zip(pair(), pair()));
        let answers = format!("{:?}", all.await);
        assert_eq!(answers.matches("Ok(\"ok\")").count(), 8, "{answers}");
        assert!(transport.open_connections() <= 1, "{transport:?}");
    });
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert!(server.accepted() >= 2);
}

#[test]
fn when_none_becomes_free_the_request_fails_as_never_sent() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.request();
    });
    let url = server.url();
    on_executor(move || async move {
        let options = HttpOptions { max_connections: 1, ..HttpOptions::default() };
        let transport = HttpTransport::new(&url, options).unwrap();
        let short = || Outgoing { timeout: Duration::from_millis(100), ..post("") };
        let first = transport.exchange(Outgoing { timeout: Duration::from_millis(400), ..post("") });
        let second = async {
            yield_now().await;
            ask(&transport, short()).await
        };
        let (first, second) = future::zip(first, second).await;
        assert!(matches!(first.err(), Some(TransportError::Timeout { .. })));
        assert_eq!(second, Err(TransportError::Busy { max: 1 }));
    });
}

#[test]
fn a_dropped_exchange_closes_its_connection() {
    let (told, heard) = std::sync::mpsc::channel();
    let server = Server::start(move |mut peer| {
        peer.request();
        told.send(peer.closed_silently()).unwrap();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let given_up = future::or(async { Some(ask(&transport, post("")).await) }, async {
            sleep(Duration::from_millis(50)).await;
            None
        });
        assert_eq!(given_up.await, None);
        assert_eq!(transport.open_connections(), 0);
        // The transport lives on; only the connection has gone.
        sleep(Duration::from_millis(50)).await;
    });
    assert!(heard.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn a_dropped_transport_closes_its_idle_connections() {
    let (told, heard) = std::sync::mpsc::channel();
    let server = Server::start(move |mut peer| {
        peer.request();
        peer.answer("ok");
        told.send(peer.closed_silently()).unwrap();
    });
    let url = server.url();
    let heard = on_executor(move || async move {
        let transport = transport(&url);
        assert_eq!(ask(&transport, post("")).await.unwrap(), "ok");
        assert_eq!(transport.open_connections(), 1);
        drop(transport);
        sleep(Duration::from_millis(50)).await;
        heard.recv_timeout(PATIENCE)
    });
    assert_eq!(heard, Ok(true));
}

/// What this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn exchanges_that_are_dropped_at_any_moment_leave_nothing_open() {
    // Its own process would count better: other tests run beside this one, so only a leak of many is one.
    const ROUNDS: u64 = 300;
    let server = counting();
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let before = descriptors();
        for round in 0..ROUNDS {
            // From before the connect to after the answer, in steps of 20 microseconds.
            let late = async {
                sleep(Duration::from_micros(20 * (round % 60))).await;
                None
            };
            let asked = async { Some(ask(&transport, post("{}")).await) };
            if let Some(answer) = future::or(asked, late).await {
                assert!(answer.is_ok(), "{answer:?}");
            }
            assert!(transport.open_connections() <= 1, "{transport:?}");
        }
        assert!(ask(&transport, post("{}")).await.is_ok(), "the transport still works");
        transport.close().await;
        sleep(Duration::from_millis(50)).await;
        assert_eq!(transport.open_connections(), 0);
        let after = descriptors();
        assert!(after < before + 150, "{before} descriptors became {after}");
    });
}
