//! The request reader from outside: what a well-behaved client sees.

use ringmesh::http::{HttpLimits, Method, Progress, RequestReader};

fn reader() -> RequestReader {
    RequestReader::new(HttpLimits::default())
}

const POST: &[u8] = b"POST /mcp?x=1 HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\n\
    Accept: application/json, text/event-stream\r\nMcp-Method: tools/call\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_post_is_read_with_its_fields_and_body() {
    let mut reader = reader();
    assert_eq!(reader.poll(), Progress::NeedHead { started: false });
    reader.feed(POST);
    assert_eq!(reader.poll(), Progress::Ready);
    let request = reader.request();
    assert_eq!((request.method, request.target), (Method::Post, "/mcp?x=1"));
    assert_eq!((request.path, request.query), ("/mcp", Some("x=1")));
    assert!(request.keep_alive && !request.http_1_0);
    assert_eq!(request.fields.host, Some(&b"localhost:8000"[..]));
    assert_eq!(request.fields.content_type, Some(&b"application/json"[..]));
    assert_eq!(request.fields.mcp_method, Some(&b"tools/call"[..]));
    assert_eq!(request.fields.origin, None);
    assert_eq!(request.fields.iter().count(), 5);
    assert_eq!(request.body, b"hello");
    reader.consume();
    assert_eq!(reader.poll(), Progress::NeedHead { started: false });
    assert_eq!((reader.buffered(), reader.held_bytes()), (0, 0), "an idle reader holds nothing");
}

#[test]
fn a_client_that_expects_continue_is_told_once() {
    let mut reader = reader();
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(reader.poll(), Progress::NeedBody { expect_continue: true });
    assert_eq!(reader.poll(), Progress::NeedBody { expect_continue: false });
    reader.feed(b"ok");
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().body, b"ok");
}

#[test]
fn a_client_that_sends_its_body_at_once_needs_no_continue() {
    let mut reader = reader();
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\no");
    assert_eq!(reader.poll(), Progress::NeedBody { expect_continue: false });
}

#[test]
fn http_1_0_needs_no_host_and_closes_unless_asked() {
    for (head, keep_alive) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], false),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\nConnection: keep-alive\r\n\r\n", false),
    ] {
        let mut reader = reader();
        reader.feed(head);
        assert_eq!(reader.poll(), Progress::Ready);
        assert_eq!(reader.request().keep_alive, keep_alive);
    }
}

#[test]
fn several_accept_fields_are_one() {
    let mut reader = reader();
    reader.feed(
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nX: y\r\naccept: text/event-stream\r\n\r\n",
    );
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().fields.accept, Some(&b"application/json, text/event-stream"[..]));
    reader.consume();
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n");
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().fields.accept, Some(&b"*/*"[..]), "nothing is left of the last request");
}

#[test]
fn of_several_traces_the_first_counts() {
    let mut reader = reader();
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 1\r\ntraceparent: 2\r\n\r\n");
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().fields.traceparent, Some(&b"1"[..]));
}

#[test]
fn one_empty_line_before_a_request_is_skipped_and_is_not_its_start() {
    let mut reader = reader();
    reader.feed(b"\r\n");
    assert_eq!(reader.poll(), Progress::NeedHead { started: false });
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
    assert_eq!(reader.poll(), Progress::Ready);
    reader.consume();
    assert_eq!(reader.poll(), Progress::NeedHead { started: false });
    reader.feed(b"G");
    assert_eq!(reader.poll(), Progress::NeedHead { started: true });
}

#[test]
fn chunks_are_decoded_and_what_follows_stays() {
    let mut reader = reader();
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0006\r\n world\r\n");
    assert_eq!(reader.poll(), Progress::NeedBody { expect_continue: false });
    reader.feed(b"0\r\nDigest: z\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().body, b"hello world");
    assert_eq!(reader.read_ahead(), 31);
    reader.consume();
    assert_eq!(reader.poll(), Progress::Ready);
    assert_eq!(reader.request().path, "/next");
}

#[test]
fn a_large_request_does_not_leave_a_large_buffer() {
    let mut reader = reader();
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    reader.feed(&[b'x'; 1_000_000]);
    reader.feed(b"GET");
    assert_eq!(reader.poll(), Progress::Ready);
    reader.consume();
    assert_eq!(reader.poll(), Progress::NeedHead { started: true });
    assert_eq!(reader.buffered(), 3);
    assert!(reader.held_bytes() <= 64 << 10, "{}", reader.held_bytes());
}
