//! Event streams over HTTP.

use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::client::http::{AnswerLimits, HttpOptions, HttpTransport};
use ringmesh::client::{Event, EventSource, IncomingContent, Outgoing, Transport, TransportError};
use ringmesh::runtime::sleep;

use super::server::Server;
use super::{PATIENCE, ask, on_executor, post, transport};

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

async fn open(transport: &HttpTransport, outgoing: Outgoing) -> Box<dyn EventSource> {
    match transport.exchange(outgoing).await.unwrap().content {
        IncomingContent::Events(events) => events,
        _ => panic!("no event stream"),
    }
}

fn data(text: &str) -> Event {
    Event { data: text.as_bytes().to_vec(), ..Event::default() }
}

#[test]
fn events_come_one_by_one_and_a_stream_that_ends_in_order_leaves_its_connection() {
    let server = Server::start(|mut peer| {
        while peer.request().is_some() {
            peer.send(HEAD);
            peer.send(&chunk(": hello\n\nid: 1\nretry: 20\ndata: \n\nda"));
            std::thread::sleep(Duration::from_millis(20));
            peer.send(&chunk("ta: a\n\nevent: x\ndata: b\n\ndata: cut"));
            peer.send("0\r\n\r\n");
        }
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        for _ in 0..2 {
            let mut events = open(&transport, post("")).await;
            let first =
                Event { id: Some("1".into()), retry: Some(Duration::from_millis(20)), ..Event::default() };
            assert_eq!(events.next().await, Some(Ok(first)));
            assert_eq!(events.next().await, Some(Ok(data("a"))));
            let named = Event { name: Some("x".into()), ..data("b") };
            assert_eq!(events.next().await, Some(Ok(named)));
            assert_eq!(events.next().await, None);
            assert_eq!(events.next().await, None, "the end stays the end");
            assert_eq!(transport.open_connections(), 1);
        }
    });
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_flood_of_comments_lets_a_deadline_pass() {
    const FLOOD: Duration = Duration::from_secs(4);
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send(HEAD);
        let (noise, began) = (chunk(&":\n".repeat(16 << 10)), Instant::now());
        while began.elapsed() < FLOOD {
            peer.send(&noise);
        }
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let mut events = open(&transport, post("")).await;
        let began = Instant::now();
        let late = async {
            sleep(Duration::from_millis(200)).await;
            None
        };
        assert_eq!(future::or(events.next(), late).await, None);
        assert!(began.elapsed() < FLOOD / 2, "{:?}", began.elapsed());
    });
}

#[test]
fn a_dropped_stream_closes_its_connection() {
    let (told, heard) = std::sync::mpsc::channel();
    let server = Server::start(move |mut peer| {
        peer.request();
        if peer.index > 0 {
            return peer.answer("second");
        }
        peer.send(&format!("{HEAD}{}", chunk("data: a\n\n")));
        told.send(peer.closed_silently()).unwrap();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let mut events = open(&transport, post("")).await;
        assert_eq!(events.next().await, Some(Ok(data("a"))));
        drop(events);
        assert_eq!(transport.open_connections(), 0);
        assert_eq!(ask(&transport, post("")).await.unwrap(), "second");
    });
    assert!(heard.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn a_stream_that_breaks_off_says_so_once() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send(&format!("{HEAD}{}", chunk("data: a\n\n")));
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let mut events = open(&transport, post("")).await;
        assert_eq!(events.next().await, Some(Ok(data("a"))));
        assert_eq!(events.next().await, Some(Err(TransportError::Closed { before_answer: false })));
        assert_eq!(events.next().await, None);
        assert_eq!(transport.open_connections(), 0);
    });
}

#[test]
fn silence_is_bounded_and_a_comment_is_no_silence() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send(HEAD);
        for _ in 0..30 {
            std::thread::sleep(Duration::from_millis(50));
            peer.send(&chunk(": alive\n\n"));
        }
        peer.send(&chunk("data: late\n\n"));
        peer.request();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let idle_timeout = Some(Duration::from_secs(1));
        // The deadline of the head is over long before the stream is.
        let timeout = Duration::from_secs(1);
        let mut events = open(&transport, Outgoing { idle_timeout, timeout, ..post("") }).await;
        assert_eq!(events.next().await, Some(Ok(data("late"))));
        let silent = events.next().await;
        assert!(matches!(silent, Some(Err(TransportError::Timeout { .. }))), "{silent:?}");
        assert_eq!(transport.open_connections(), 0);
    });
}

#[test]
fn a_wait_for_an_event_that_is_dropped_loses_nothing() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send(HEAD);
        let stream = chunk("id: 7\ndata: whole\n\n");
        for piece in stream.as_bytes().chunks(3) {
            std::thread::sleep(Duration::from_millis(10));
            peer.send(std::str::from_utf8(piece).unwrap());
        }
        peer.request();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let mut events = open(&transport, post("")).await;
        let mut given_up = 0;
        let event = loop {
            let late = async {
                sleep(Duration::from_millis(4)).await;
                None
            };
            match future::or(async { Some(events.next().await) }, late).await {
                Some(event) => break event,
                None => given_up += 1,
            }
        };
        assert_eq!(event, Some(Ok(Event { id: Some("7".into()), ..data("whole") })));
        assert!(given_up > 0);
    });
}

#[test]
fn an_event_over_the_limit_ends_the_stream() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send(&format!("{HEAD}{}", chunk("data: small\n\ndata: much too large\n\n")));
        peer.request();
    });
    let url = server.url();
    on_executor(move || async move {
        let limits = AnswerLimits { event_bytes: 12, body_bytes: 1, ..AnswerLimits::default() };
        let transport = HttpTransport::new(&url, HttpOptions { limits, ..HttpOptions::default() }).unwrap();
        let mut events = open(&transport, post("")).await;
        assert_eq!(events.next().await, Some(Ok(data("small"))));
        let error = TransportError::TooLarge { limit: "max_event_bytes", max: 12 };
        assert_eq!(events.next().await, Some(Err(error)));
        assert_eq!(events.next().await, None);
    });
}

#[test]
fn an_event_stream_of_a_failed_request_is_a_body() {
    let server = Server::start(|mut peer| {
        peer.request();
        peer.send(
            "HTTP/1.1 404 x\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: a\n\n",
        );
    });
    let url = server.url();
    on_executor(move || async move {
        assert_eq!(ask(&transport(&url), post("")).await.unwrap(), "data: a\n\n");
    });
}
