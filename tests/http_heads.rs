//! Malformed requests: each has one exact answer, and the same one however its bytes are cut.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use ringmesh::http::{HttpLimits, Progress, RequestReader};

/// Small limits, so that a case that goes over one stays readable.
const LIMITS: HttpLimits = HttpLimits { head_bytes: 512, headers: 8, body_bytes: 1024 };

#[derive(Clone, Copy)]
enum After {
    /// The connection closes with the answer.
    Closes,
    /// The next request is read.
    Lives,
}
use After::{Closes, Lives};

/// The bytes of one case, its status, its code, and what becomes of the connection.
type Case = (String, u16, &'static str, After);

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

fn line_ends() -> Vec<Case> {
    vec![
        ("GET / HTTP/1.1\nHost: a\n\n".into(), 400, "bare_lf", Closes),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n".into(), 400, "bare_lf", Closes),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".into(), 400, "bare_lf", Closes),
        ("GET / HTTP/1.1\rHost: a\r\r".into(), 400, "bare_cr", Closes),
        ("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n".into(), 400, "bare_cr", Closes),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n".into(), 400, "bare_cr", Closes),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400, "empty_line", Closes),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400, "bare_lf", Closes),
        ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400, "bare_cr", Closes),
        ("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400, "bare_lf", Closes),
    ]
}

fn request_lines() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    let long = "x".repeat(600);
    vec![
        ("\u{16}\u{3}\u{1}\u{2}".into(), 400, "bad_request_line", Closes),
        (" GET / HTTP/1.1\r\n".into(), 400, "bad_request_line", Closes),
        ("{\"jsonrpc\":\"2.0\"}\r\n\r\n".into(), 400, "bad_request_line", Closes),
        (line("GET / HTTP/1.1 "), 400, "bad_request_line", Closes),
        (line("GET  / HTTP/1.1"), 400, "bad_request_line", Closes),
        (line("GET /  HTTP/1.1"), 400, "bad_request_line", Closes),
        (line("GET\t/ HTTP/1.1"), 400, "bad_request_line", Closes),
        (line("GET / http/1.1"), 400, "bad_request_line", Closes),
        (line("GET / HTTP/1."), 400, "bad_request_line", Closes),
        (line("GET / HTTP/1.10"), 400, "bad_request_line", Closes),
        (line("GET /"), 400, "bad_request_line", Closes),
        (line("GET"), 400, "bad_request_line", Closes),
        (line("G(T / HTTP/1.1"), 400, "bad_request_line", Closes),
        (line("GET /\0 HTTP/1.1"), 400, "bad_request_line", Closes),
        (line("GET /\u{7f} HTTP/1.1"), 400, "bad_request_line", Closes),
        (line(&format!("{} / HTTP/1.1", "M".repeat(33))), 501, "method_too_long", Closes),
        (line("GET / HTTP/2.0"), 505, "http_version_not_supported", Closes),
        (line("GET / HTTP/1.2"), 505, "http_version_not_supported", Closes),
        (line("GET / HTTP/0.9"), 505, "http_version_not_supported", Closes),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505, "http_version_not_supported", Closes),
        (line("GET /\u{e4} HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET /#top HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET mcp HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET * HTTP/1.1"), 400, "bad_target", Closes),
        (line("OPTIONS *x HTTP/1.1"), 400, "bad_target", Closes),
        (line("CONNECT a:80 HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET http://b/ HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET http://a:81/ HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET http:///x HTTP/1.1"), 400, "bad_target", Closes),
        (line("GET file://a/x HTTP/1.1"), 400, "bad_target", Closes),
        (line(&format!("GET /{long} HTTP/1.1")), 414, "target_too_long", Closes),
    ]
}

fn fields() -> Vec<Case> {
    let head = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    let many: String = (0..8).map(|index| format!("X-{index}: y\r\n")).collect();
    vec![
        (head(""), 400, "missing_host", Closes),
        (head("Host:\r\n"), 400, "bad_host", Closes),
        (head("Host: a b\r\n"), 400, "bad_host", Closes),
        (head("Host: a,b\r\n"), 400, "bad_host", Closes),
        (head("Host: a:b\r\n"), 400, "bad_host", Closes),
        (head("Host: a:70000\r\n"), 400, "bad_host", Closes),
        (head("Host: http://a\r\n"), 400, "bad_host", Closes),
        (head("Host: u@a\r\n"), 400, "bad_host", Closes),
        (head("Host: [::1\r\n"), 400, "bad_host", Closes),
        (get("Host: a\r\n"), 400, "repeated_host", Closes),
        (get("hOST: b\r\n"), 400, "repeated_host", Closes),
        (get("X: y\r\n folded\r\n"), 400, "folded_header", Closes),
        (get("X: y\r\n\tfolded\r\n"), 400, "folded_header", Closes),
        (head(" Host: a\r\n"), 400, "folded_header", Closes),
        (get("X : y\r\n"), 400, "bad_header_name", Closes),
        (get("X\t: y\r\n"), 400, "bad_header_name", Closes),
        (get(": y\r\n"), 400, "bad_header_name", Closes),
        (get("no colon\r\n"), 400, "bad_header_name", Closes),
        (get("X(: y\r\n"), 400, "bad_header_name", Closes),
        (get("\u{e4}: y\r\n"), 400, "bad_header_name", Closes),
        (get("X: a\0b\r\n"), 400, "bad_header_value", Closes),
        (get("X: a\u{1b}b\r\n"), 400, "bad_header_value", Closes),
        (get("X: a\u{7f}b\r\n"), 400, "bad_header_value", Closes),
        (get(&many), 431, "too_many_headers", Closes),
        (get(&format!("X: {}\r\n", "y".repeat(600))), 431, "head_too_large", Closes),
        (get(&"X: y\r\n".repeat(100)), 431, "head_too_large", Closes),
        (get("Origin: http://a\r\nOrigin: http://a\r\n"), 400, "repeated_header", Lives),
        (get("Content-Type: a/b\r\nContent-Type: a/b\r\n"), 400, "repeated_header", Lives),
        (get("Authorization: x\r\nauthorization: y\r\n"), 400, "repeated_header", Lives),
        (get("MCP-Protocol-Version: 1\r\nMCP-Protocol-Version: 1\r\n"), 400, "repeated_header", Lives),
        (get("Mcp-Method: x\r\nMcp-Method: y\r\n"), 400, "repeated_header", Lives),
        (get("Mcp-Session-Id: x\r\nMcp-Session-Id: y\r\n"), 400, "repeated_header", Lives),
        (get("Last-Event-ID: x\r\nLast-Event-ID: y\r\n"), 400, "repeated_header", Lives),
        (get("Mcp-Name: x\r\nMcp-Name: y\r\nConnection: close\r\n"), 400, "repeated_header", Closes),
        (post("Mcp-Name: x\r\nMcp-Name: y\r\nContent-Length: 4\r\n", "GET "), 400, "repeated_header", Lives),
        (get("Expect: 200-maybe\r\n"), 417, "unknown_expectation", Lives),
        (post("Expect: x\r\nContent-Length: 1\r\n", ""), 417, "unknown_expectation", Closes),
        (
            post("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x"),
            415,
            "unsupported_content_encoding",
            Lives,
        ),
    ]
}

fn framings() -> Vec<Case> {
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "hello");
    let coding = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n");
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let http_1_0 = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    vec![
        (length("5\r\nContent-Length: 5"), 400, "repeated_content_length", Closes),
        (length("5\r\nContent-Length: 6"), 400, "repeated_content_length", Closes),
        (length("5, 5"), 400, "bad_content_length", Closes),
        (length("+5"), 400, "bad_content_length", Closes),
        (length("-5"), 400, "bad_content_length", Closes),
        (length("0x5"), 400, "bad_content_length", Closes),
        (length("5 5"), 400, "bad_content_length", Closes),
        (length("5.0"), 400, "bad_content_length", Closes),
        (length(""), 400, "bad_content_length", Closes),
        (length("18446744073709551616"), 400, "bad_content_length", Closes),
        (length("99999999999999999999999999"), 400, "bad_content_length", Closes),
        (length("18446744073709551615"), 413, "body_too_large", Closes),
        (length("1025"), 413, "body_too_large", Closes),
        (post("Expect: 100-continue\r\nContent-Length: 1025\r\n", ""), 413, "body_too_large", Closes),
        (post(both, "0\r\n\r\n"), 400, "length_with_transfer_encoding", Closes),
        (http_1_0.into(), 400, "transfer_encoding_in_http_1_0", Closes),
        (coding("gzip, chunked"), 501, "unknown_transfer_encoding", Closes),
        (coding("chunked, identity"), 501, "unknown_transfer_encoding", Closes),
        (coding("chunked, chunked"), 501, "unknown_transfer_encoding", Closes),
        (coding("xchunked"), 501, "unknown_transfer_encoding", Closes),
        (coding("chunked;q=1"), 501, "unknown_transfer_encoding", Closes),
        (coding("identity"), 501, "unknown_transfer_encoding", Closes),
        (coding(""), 501, "unknown_transfer_encoding", Closes),
        (coding("chunked\r\nTransfer-Encoding: chunked"), 400, "repeated_transfer_encoding", Closes),
    ]
}

fn chunks() -> Vec<Case> {
    let trailers: String = (0..9).map(|index| format!("X-{index}: y\r\n")).collect();
    vec![
        (chunked("\r\n"), 400, "bad_chunk", Closes),
        (chunked("x\r\n"), 400, "bad_chunk", Closes),
        (chunked("0x5\r\nhello\r\n"), 400, "bad_chunk", Closes),
        (chunked("+5\r\nhello\r\n"), 400, "bad_chunk", Closes),
        (chunked("-1\r\n"), 400, "bad_chunk", Closes),
        (chunked(" 5\r\nhello\r\n"), 400, "bad_chunk", Closes),
        (chunked("5 \r\nhello\r\n"), 400, "bad_chunk", Closes),
        (chunked(";x\r\n"), 400, "bad_chunk", Closes),
        (chunked("5\nhello\r\n"), 400, "bad_chunk", Closes),
        (chunked("5\rhello\r\n"), 400, "bad_chunk", Closes),
        (chunked("5\r\nhello\n"), 400, "bad_chunk", Closes),
        (chunked("5\r\nhello0\r\n"), 400, "bad_chunk", Closes),
        (chunked("5\r\nhello!\r\n"), 400, "bad_chunk", Closes),
        (chunked("5;x\ny\r\n"), 400, "bad_chunk", Closes),
        (chunked("5;x\0\r\n"), 400, "bad_chunk", Closes),
        (chunked("00000000000000005\r\n"), 400, "bad_chunk", Closes),
        (chunked(&format!("1;{}\r\nx\r\n", "e".repeat(450)).repeat(10)), 400, "bad_chunk", Closes),
        (chunked("0\r\nno colon\r\n\r\n"), 400, "bad_chunk", Closes),
        (chunked("0\r\nX: y\n\r\n"), 400, "bad_chunk", Closes),
        (chunked("0\r\n X: y\r\n\r\n"), 400, "bad_chunk", Closes),
        (chunked("0\r\n\rX"), 400, "bad_chunk", Closes),
        (chunked("401\r\n"), 413, "body_too_large", Closes),
        (chunked("ffffffffffffffff\r\n"), 413, "body_too_large", Closes),
        (chunked(&format!("{}401", "1\r\nx\r\n".repeat(3))), 413, "body_too_large", Closes),
        (chunked(&format!("400\r\n{}\r\n1\r\n", "x".repeat(1024))), 413, "body_too_large", Closes),
        (chunked(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(512))), 431, "trailers_too_large", Closes),
        (chunked(&format!("0\r\n{trailers}\r\n")), 431, "too_many_trailers", Closes),
    ]
}

fn cases() -> Vec<Case> {
    [line_ends(), request_lines(), fields(), framings(), chunks()].concat()
}

/// Feeds the pieces one by one, polling after each, and returns the refusal.
fn refusal(pieces: &[&[u8]]) -> Option<(RequestReader, ringmesh::http::Reject)> {
    let mut reader = RequestReader::new(LIMITS);
    for piece in pieces {
        reader.feed(piece);
        match reader.poll() {
            Progress::Reject(reject) => {
                let at = pieces.iter().position(|other| std::ptr::eq(*other, *piece)).unwrap();
                pieces[at + 1..].iter().for_each(|rest| reader.feed(rest));
                return Some((reader, reject));
            }
            Progress::Ready => return None,
            _ => {}
        }
    }
    None
}

fn check(case: &Case, pieces: &[&[u8]]) {
    let (text, status, code, after) = case;
    let (mut reader, reject) = refusal(pieces).unwrap_or_else(|| panic!("not refused: {text:?}"));
    assert_eq!((reject.status, reject.code), (*status, *code), "{text:?}: {}", reject.message);
    assert_eq!(reject.close, matches!(after, Closes), "{text:?}");
    assert_eq!(reject.limit.is_some(), matches!(status, 413 | 414 | 431), "{text:?}");
    assert_eq!(reader.poll(), Progress::Reject(reject), "the answer stays until it is consumed: {text:?}");
    reader.consume();
    reader.feed(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    match (after, reader.poll()) {
        (Lives, Progress::Ready) => assert_eq!(reader.request().path, "/next"),
        (Closes, Progress::Reject(_)) => assert_eq!(reader.held_bytes(), 0, "a dead reader holds nothing"),
        (_, progress) => panic!("{text:?}: then {progress:?}"),
    }
}

#[test]
fn each_malformed_request_has_its_answer() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for case in &cases {
        check(case, &[case.0.as_bytes()]);
    }
}

#[test]
fn the_answer_is_the_same_byte_by_byte() {
    for case in &cases() {
        let pieces: Vec<&[u8]> = case.0.as_bytes().chunks(1).collect();
        check(case, &pieces);
    }
}

#[test]
fn the_answer_is_the_same_at_every_cut() {
    for case in &cases() {
        for cut in 0..=case.0.len() {
            let (first, second) = case.0.as_bytes().split_at(cut);
            check(case, &[first, second]);
        }
    }
}

#[test]
fn a_refusal_never_follows_a_request_into_the_next() {
    for (text, status, code, _) in &cases() {
        let mut reader = RequestReader::new(LIMITS);
        reader.feed(b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
        reader.feed(text.as_bytes());
        assert_eq!(reader.poll(), Progress::Ready);
        assert_eq!(reader.request().body, b"ok");
        reader.consume();
        let Progress::Reject(reject) = reader.poll() else { panic!("not refused: {text:?}") };
        assert_eq!((reject.status, reject.code), (*status, *code), "{text:?}");
    }
}

#[test]
fn a_head_of_exactly_the_limit_is_served() {
    let fixed = get("X: \r\n").len();
    for (extra, served) in [(512 - fixed, true), (513 - fixed, false)] {
        let text = get(&format!("X: {}\r\n", "y".repeat(extra)));
        let mut reader = RequestReader::new(LIMITS);
        reader.feed(text.as_bytes());
        assert_eq!(reader.poll() == Progress::Ready, served, "{}", text.len());
    }
}

#[test]
fn a_refused_head_request_says_that_it_has_no_body() {
    let mut reader = RequestReader::new(LIMITS);
    reader.feed(b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n");
    let Progress::Reject(reject) = reader.poll() else { panic!("not refused") };
    assert!(reject.head_only);
}
