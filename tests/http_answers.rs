//! The reader of answers: framing, limits, and one result however the bytes are cut.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use ringmesh::http::HttpLimits;
use ringmesh::http::client::{Asked, ResponseFault, ResponseReader, Step};

const LIMITS: HttpLimits = HttpLimits { head_bytes: 200, headers: 8, body_bytes: 50 };

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: String,
    reusable: bool,
}

fn read_pieces<'a>(
    asked: Asked,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<Answer>, ResponseFault> {
    let mut reader = ResponseReader::new(asked, LIMITS);
    let mut body = Vec::new();
    let mut step = Step::More;
    for piece in pieces {
        reader.feed(piece);
        step = drain(&mut reader, &mut body)?;
    }
    if step != Step::End {
        reader.end_of_input()?;
    }
    let (status, reusable) = (reader.head().unwrap().status, step == Step::End && reader.is_reusable());
    Ok(Some(Answer { status, body: String::from_utf8(body).unwrap(), reusable }))
}

fn drain(reader: &mut ResponseReader, body: &mut Vec<u8>) -> Result<Step, ResponseFault> {
    loop {
        match reader.poll()? {
            Step::Head => {}
            Step::Data => body.extend(reader.take_data()),
            step => return Ok(step),
        }
    }
}

/// Reads an answer whole, cut once at each place, and byte by byte: always the same.
fn read_as(asked: Asked, bytes: &str) -> Result<Answer, ResponseFault> {
    let bytes = bytes.as_bytes();
    let whole = read_pieces(asked, std::iter::once(bytes));
    for cut in 0..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(read_pieces(asked, [first, second].into_iter()), whole, "cut at {cut}");
    }
    assert_eq!(read_pieces(asked, bytes.chunks(1)), whole, "byte by byte");
    whole.map(Option::unwrap)
}

fn read(bytes: &str) -> Result<Answer, ResponseFault> {
    read_as(Asked::Other, bytes)
}

fn answer(status: u16, body: &str, reusable: bool) -> Result<Answer, ResponseFault> {
    Ok(Answer { status, body: body.to_owned(), reusable })
}

fn malformed(bytes: &str) -> String {
    match read(bytes) {
        Err(ResponseFault::Malformed(what)) => what,
        other => panic!("{bytes:?} is not malformed but {other:?}"),
    }
}

#[test]
fn a_body_is_delimited_by_its_length_its_chunks_or_the_end() {
    assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), answer(200, "{}", true));
    assert_eq!(read("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"), answer(202, "", true));
    assert_eq!(read("HTTP/1.1 200\r\nContent-Length: 1, 1\r\n\r\nx"), answer(200, "x", true));
    let chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\n{}\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(read(chunks), answer(200, "{}!", true));
    assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nall of it"), answer(200, "all of it", false));
}

#[test]
fn answers_that_have_no_body_end_with_their_head() {
    for status in [204, 304] {
        let bytes = format!("HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\n");
        assert_eq!(read(&bytes), answer(status, "", true));
    }
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read_as(Asked::Head, head), answer(200, "", true));
}

#[test]
fn interim_answers_are_skipped_and_their_number_is_bounded() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(read(&format!("HTTP/1.1 100 Continue\r\n\r\n{interim}{last}")), answer(200, "x", true));
    assert!(malformed(&format!("{}{last}", interim.repeat(17))).contains("more than 16 interim"));
    assert!(matches!(read("HTTP/1.1 101 Switching\r\n\r\n"), Err(ResponseFault::Unsupported(_))));
}

#[test]
fn only_a_kept_alive_answer_with_nothing_after_it_leaves_a_connection_to_use() {
    assert_eq!(read("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"), answer(200, "x", false));
    let closing = "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(read(closing), answer(200, "x", false));
    let mut reader = ResponseReader::new(Asked::Other, LIMITS);
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP");
    assert_eq!(drain(&mut reader, &mut Vec::new()), Ok(Step::End));
    assert!(!reader.is_reusable(), "bytes are left over");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    assert!(malformed(&with("Content-Length: 1\r\nContent-Length: 2")).contains("one decimal"));
    for length in ["+1", "-1", "1x", "", "0x1", "99999999999999999999"] {
        assert!(malformed(&with(&format!("Content-Length: {length}"))).contains("one decimal"), "{length}");
    }
    let both = "Content-Length: 1\r\nTransfer-Encoding: chunked";
    assert!(malformed(&with(both)).contains("together"));
    assert!(malformed("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").contains("HTTP/1.0"));
    assert!(malformed("HTTP/1.1 200 OK\nContent-Length: 1\n\n").contains("CRLF"));
    assert!(malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").contains("hexadecimal"));
    for coding in ["gzip", "gzip, chunked", "chunked, chunked"] {
        let refused = read(&with(&format!("Transfer-Encoding: {coding}")));
        assert!(matches!(refused, Err(ResponseFault::Unsupported(_))), "{refused:?}");
    }
    let zipped = read(&with("Content-Encoding: gzip"));
    assert!(matches!(zipped, Err(ResponseFault::Unsupported(_))), "{zipped:?}");
}

#[test]
fn what_is_not_http_is_named_as_such() {
    assert!(malformed("SSH-2.0-OpenSSH_9.6\r\n\r\n").contains("head of the answer"));
    assert!(malformed("\x15\x03\x03\x00\x02").contains("not HTTP/1.1"));
    assert!(malformed("HTTP/2 200\r\n\r\n").contains("head of the answer"));
    assert!(malformed("HTTP/1.1 999 x\r\n\r\n").contains("from 100 to 599"));
}

#[test]
fn limits_are_named_and_a_stream_has_none() {
    let too_large = |limit, max| Err(ResponseFault::TooLarge { limit, max });
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200));
    assert_eq!(read(&long), too_large("max_head_bytes", 200));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(9));
    assert_eq!(read(&many), too_large("max_headers", 8));
    let over = too_large("max_body_bytes", 50);
    assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 51\r\n\r\n"), over);
    let chunk = format!("14\r\n{}\r\n", "x".repeat(20));
    let chunks = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(3));
    assert_eq!(read(&chunks), over);
    assert_eq!(read(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(51))), over);

    let mut reader = ResponseReader::new(Asked::Other, LIMITS);
    reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(reader.poll(), Ok(Step::Head));
    reader.expect_stream();
    let mut body = Vec::new();
    for _ in 0..10 {
        reader.feed(chunk.as_bytes());
        assert_eq!(drain(&mut reader, &mut body), Ok(Step::More));
    }
    assert_eq!(body.len(), 200);
}

#[test]
fn an_end_in_the_middle_is_told_from_an_end() {
    for bytes in [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ] {
        assert_eq!(read(bytes), Err(ResponseFault::Truncated), "{bytes:?}");
    }
}
