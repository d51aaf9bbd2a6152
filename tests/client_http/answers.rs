//! What an exchange makes of an answer.

use std::time::{Duration, Instant};

use ringmesh::client::http::{AnswerLimits, HttpOptions, HttpTransport};
use ringmesh::client::{IncomingContent, OutgoingHead, Transport, TransportError, Verb};

use super::server::Server;
use super::{PATIENCE, ask, on_executor, post, transport};

/// Asks a server that gives this answer and then closes.
fn answered(answer: &'static str) -> Result<String, TransportError> {
    let server = Server::start(move |mut peer| {
        peer.request();
        peer.send(answer);
    });
    let url = server.url();
    on_executor(move || async move { ask(&transport(&url), post("{}")).await })
}

#[test]
fn the_head_and_the_body_of_an_answer_come_through() {
    let server = Server::start(|mut peer| {
        let request = peer.request().unwrap();
        assert!(request.starts_with("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        assert!(request.contains("\r\nX-Extra: 1\r\n") && request.contains("\r\nMcp-Session-Id: mine\r\n"));
        assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
        peer.send(
            "HTTP/1.1 401 Unauthorized\r\nMcp-Session-Id: yours\r\nRetry-After: 7\r\nWWW-Authenticate: Bearer x\r\n\
             Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nno",
        );
    });
    let url = server.url();
    on_executor(move || async move {
        let headers = vec![("X-Extra".to_owned(), "1".to_owned())];
        let transport = HttpTransport::new(&url, HttpOptions { headers, ..HttpOptions::default() }).unwrap();
        assert!(transport.has_headers() && transport.target() == url);
        let mut outgoing = post("{\"a\":1}");
        outgoing.head = OutgoingHead { session_id: Some("mine".into()), ..OutgoingHead::default() };
        let incoming = transport.exchange(outgoing).await.unwrap();
        assert_eq!((incoming.status, incoming.session_id.as_deref()), (401, Some("yours")));
        assert_eq!(incoming.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(incoming.www_authenticate.as_deref(), Some("Bearer x"));
        let IncomingContent::Body { content_type, bytes } = incoming.content else { panic!("no body") };
        assert_eq!((content_type.as_deref(), &bytes[..]), (Some("text/plain"), &b"no"[..]));
    });
}

#[test]
fn bodies_are_read_however_they_are_delimited() {
    assert_eq!(answered("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"), Ok(String::new()));
    assert_eq!(answered("HTTP/1.1 204 No Content\r\n\r\n"), Ok(String::new()));
    assert_eq!(answered("HTTP/1.0 200 OK\r\n\r\nto the end"), Ok("to the end".into()));
    let chunked =
        "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(answered(chunked), Ok("{}".into()));
}

#[test]
fn each_way_to_break_off_has_its_error() {
    let closed = |before_answer| Err(TransportError::Closed { before_answer });
    assert_eq!(answered(""), closed(true));
    assert_eq!(answered("HTTP/1.1 200 OK\r\n"), closed(false));
    assert_eq!(answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), closed(false));
    assert!(matches!(answered("SSH-2.0-x\r\n\r\n"), Err(TransportError::Malformed(_))));
    let moved = answered("HTTP/1.1 308 Moved\r\nLocation: https://b/\u{7}\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(moved, Err(TransportError::Malformed(_))), "a control in a header: {moved:?}");
    let moved = answered("HTTP/1.1 308 Moved\r\nLocation: https://b/\r\nContent-Length: 0\r\n\r\n");
    let Err(TransportError::Unsupported(what)) = moved else { panic!("{moved:?}") };
    assert!(what.contains("308") && what.contains("https://b/") && what.contains("not followed"), "{what}");
}

#[test]
fn limits_end_the_exchange_with_their_name() {
    let big = "HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789\r\nContent-Length: 30\r\n\r\n";
    let server = Server::start(move |mut peer| {
        peer.request();
        peer.send(big);
    });
    let url = server.url();
    on_executor(move || async move {
        let with = |limits| HttpTransport::new(&url, HttpOptions { limits, ..HttpOptions::default() });
        let small_body = with(AnswerLimits { body_bytes: 29, ..AnswerLimits::default() }).unwrap();
        let error = ask(&small_body, post("{}")).await.unwrap_err();
        assert_eq!(error, TransportError::TooLarge { limit: "max_body_bytes", max: 29 });
        let small_head = with(AnswerLimits { head_bytes: 50, ..AnswerLimits::default() }).unwrap();
        let error = ask(&small_head, post("{}")).await.unwrap_err();
        assert_eq!(error, TransportError::TooLarge { limit: "max_head_bytes", max: 50 });
        assert_eq!((small_body.open_connections(), small_head.open_connections()), (0, 0));
    });
}

#[test]
fn a_whole_exchange_has_a_deadline_and_says_what_it_waited_for() {
    let server = Server::start(|mut peer| {
        if peer.request().unwrap().ends_with("half") {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
        }
        peer.request();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let within = |body: &str| super::Outgoing { timeout: Duration::from_millis(100), ..post(body) };
        let begun = Instant::now();
        let silent = ask(&transport, within("none")).await;
        assert_eq!(silent, Err(TransportError::Timeout { what: "no answer came" }));
        let half = ask(&transport, within("half")).await;
        assert_eq!(half, Err(TransportError::Timeout { what: "the answer did not come to its end" }));
        assert!(begun.elapsed() < PATIENCE && transport.open_connections() == 0);
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_is_heard() {
    let (told, heard) = std::sync::mpsc::channel();
    let heard = std::sync::Mutex::new(heard);
    let server = Server::start(move |mut peer| {
        // Answers after the first bytes and reads nothing more.
        let mut few = [0; 100];
        std::io::Read::read_exact(&mut peer.socket, &mut few).unwrap();
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        heard.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let incoming = transport.exchange(post(&"x".repeat(30 << 20))).await.unwrap();
        assert_eq!(incoming.status, 413);
        assert_eq!(super::text(incoming), "big");
        assert_eq!(transport.open_connections(), 0, "a half sent request leaves nothing to use");
        told.send(()).unwrap();
    });
}

#[test]
fn a_get_and_a_delete_have_no_body() {
    let server = Server::start(|mut peer| {
        while let Some(request) = peer.request() {
            assert!(!request.contains("Content-"), "{request}");
            peer.answer(&request[..4]);
        }
    });
    let url = server.url();
    on_executor(move || async move {
        let transport = transport(&url);
        let empty = |verb| super::Outgoing { verb, ..post("") };
        assert_eq!(ask(&transport, empty(Verb::Get)).await.unwrap(), "GET ");
        assert_eq!(ask(&transport, empty(Verb::Delete)).await.unwrap(), "DELE");
    });
}

#[test]
fn nobody_there_is_told_from_no_such_name() {
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    on_executor(move || async move {
        let error = ask(&transport(&format!("http://{unused}/")), post("")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Connect(why) if why.contains("127.0.0.1")), "{error}");
        assert!(error.is_retryable());
        let error = ask(&transport("http://no-such-host.invalid/"), post("")).await.unwrap_err();
        assert!(
            matches!(&error, TransportError::Resolve(why) if why.contains("no-such-host.invalid")),
            "{error}"
        );
    });
}
