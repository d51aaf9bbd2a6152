//! Responses and event streams, byte by byte.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use ringmesh::http::{HttpDate, JSON, ResponseHead, write_response, write_sse_head};

fn text(head: &ResponseHead<'_>, body: &[u8]) -> String {
    let mut out = Vec::new();
    write_response(&mut out, head, body);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_json_answer_is_written_exactly() {
    let date = HttpDate::new(784_111_777);
    let head =
        ResponseHead { status: 200, content_type: Some(JSON), date: Some(&date), ..Default::default() };
    assert_eq!(
        text(&head, b"{}"),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n{}"
    );
}

#[test]
fn statuses_without_a_body_have_none_and_202_counts_zero() {
    let of = |status| text(&ResponseHead { status, ..Default::default() }, b"");
    assert_eq!(of(204), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(of(304), "HTTP/1.1 304 Not Modified\r\n\r\n");
    assert_eq!(of(202), "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(text(&ResponseHead { status: 204, ..Default::default() }, b"lost"), of(204));
}

#[test]
fn head_counts_the_body_and_does_not_send_it() {
    let head = ResponseHead { status: 200, head_only: true, ..Default::default() };
    assert_eq!(text(&head, b"12345"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

#[test]
fn the_connection_is_named_when_it_is_not_the_default() {
    let close = ResponseHead { status: 200, close: true, ..Default::default() };
    assert!(text(&close, b"").contains("\r\nConnection: close\r\n"));
    let kept = ResponseHead { status: 200, http_1_0: true, ..Default::default() };
    assert!(text(&kept, b"").contains("\r\nConnection: keep-alive\r\n"));
    assert!(!text(&ResponseHead { status: 200, ..Default::default() }, b"").contains("Connection"));
}

#[test]
fn no_value_can_end_its_line() {
    let head = ResponseHead {
        status: 401,
        www_authenticate: Some("Bearer\r\nX: y"),
        session_id: Some("a\0b\u{e9}"),
        extra: &[("X-Request-Id", "1\n2")],
        ..Default::default()
    };
    assert_eq!(
        text(&head, b""),
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nMcp-Session-Id: a?b??\r\n\
         WWW-Authenticate: Bearer??X: y\r\nX-Request-Id: 1?2\r\n\r\n"
    );
}

#[test]
fn an_event_stream_is_framed_exactly() {
    let mut out = Vec::new();
    let stream = write_sse_head(&mut out, &ResponseHead { status: 200, ..Default::default() });
    assert!(!stream.ends_with_connection());
    stream.event_with_retry(&mut out, Some("s-1"), Some(500), b"");
    stream.event(&mut out, None, b"{\"a\":\n1}");
    stream.comment(&mut out, "keep-alive");
    stream.end(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
         X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n\
         1b\r\nid: s-1\nretry: 500\ndata: \n\n\r\n\
         10\r\ndata: {\"a\": 1}\n\n\r\n\
         e\r\n: keep-alive\n\n\r\n\
         0\r\n\r\n"
    );
}

#[test]
fn an_old_client_gets_its_stream_until_the_connection_ends() {
    let mut out = Vec::new();
    let stream =
        write_sse_head(&mut out, &ResponseHead { status: 200, http_1_0: true, ..Default::default() });
    assert!(stream.ends_with_connection());
    stream.event(&mut out, None, b"1");
    stream.end(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\r\nConnection: close\r\n\r\ndata: 1\n\n"), "{text}");
    assert!(!text.contains("chunked"));
}
