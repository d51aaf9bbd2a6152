//! Where an answer ends: over HTTP, whole or in chunks, and in a frame of MCP over libp2p.

use std::borrow::Cow;

use crate::fault::{ErrorKind, Fault};

/// Largest answer that is still read.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Most header fields of an answer.
const MAX_FIELDS: usize = 64;

/// The answer at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// All its bytes, head and body as they were sent.
    pub(crate) length: usize,
    pub(crate) status: u16,
    pub(crate) content_type: Cow<'a, str>,
    pub(crate) session: Option<String>,
    /// The body without its chunk framing.
    pub(crate) body: Cow<'a, [u8]>,
}

/// How answers are told apart in the bytes that arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// HTTP/1.1.
    Http,
    /// A length in four bytes, big-endian, and so many bytes: MCP over libp2p.
    Frames,
}

impl Framing {
    /// The answer at the start of `input`; `None` while it is not complete.
    pub(crate) fn parse(self, input: &[u8]) -> Result<Option<Answer<'_>>, Fault> {
        match self {
            Self::Http => parse(input),
            Self::Frames => parse_frame(input),
        }
    }
}

/// A frame, seen as an answer of status 200 in JSON.
fn parse_frame(input: &[u8]) -> Result<Option<Answer<'_>>, Fault> {
    let Some((prefix, rest)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > MAX_ANSWER_BYTES {
        return Err(Fault::new(ErrorKind::Http, format!("a frame of {length} bytes")));
    }
    Ok(rest.get(..length).map(|body| Answer {
        length: prefix.len() + length,
        status: 200,
        content_type: Cow::Borrowed("application/json"),
        session: None,
        body: Cow::Borrowed(body),
    }))
}

/// Reads the HTTP answer at the start of `input`; `None` while it is not complete.
pub(crate) fn parse(input: &[u8]) -> Result<Option<Answer<'_>>, Fault> {
    let wrong = |detail: String| Fault::new(ErrorKind::Http, detail);
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(input).map_err(|error| wrong(format!("bad head: {error}")))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial if input.len() > MAX_ANSWER_BYTES => {
            return Err(wrong("the head has no end".to_owned()));
        }
        httparse::Status::Partial => return Ok(None),
    };
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| String::from_utf8_lossy(field.value))
    };
    let status = response.code.unwrap_or_default();
    let chunked =
        field("transfer-encoding").is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked"));
    let body = if chunked {
        dechunk(&input[head..])?
    } else {
        let length = match field("content-length") {
            Some(value) => value.trim().parse().map_err(|_| wrong(format!("Content-Length {value:?}")))?,
            None if status == 202 || status == 204 => 0,
            None => return Err(wrong("an answer without a length".to_owned())),
        };
        input[head..].get(..length).map(|body| (Cow::Borrowed(body), length))
    };
    Ok(body.map(|(body, body_length)| Answer {
        length: head + body_length,
        status,
        content_type: field("content-type").unwrap_or_default(),
        session: field("mcp-session-id").map(Cow::into_owned),
        body,
    }))
}

/// A body without its framing, and how many bytes it took with it.
type Body<'a> = (Cow<'a, [u8]>, usize);

/// Takes a chunked body apart.
fn dechunk(input: &[u8]) -> Result<Option<Body<'_>>, Fault> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (line, size) = match httparse::parse_chunk_size(&input[at..]) {
            Ok(httparse::Status::Complete((line, size))) => (line, size as usize),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Fault::new(ErrorKind::Http, "a chunk without a size")),
        };
        if size > MAX_ANSWER_BYTES {
            return Err(Fault::new(ErrorKind::Http, format!("a chunk of {size} bytes")));
        }
        let Some(chunk) = input.get(at + line..at + line + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err(Fault::new(ErrorKind::Http, "a chunk without its end"));
        }
        at += line + size + 2;
        if size == 0 {
            return Ok(Some((Cow::Owned(body), at)));
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// An answer in a few words, for error messages.
pub(crate) fn describe(answer: &Answer<'_>) -> String {
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]);
    format!("status {}, {}: {body}", answer.status, answer.content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_only_with_its_last_byte() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nMcp-Session-Id: s\r\n\r\nok";
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
        let frame = b"\0\0\0\x02ok";
        let all = [(Framing::Http, &plain[..]), (Framing::Http, &chunked[..]), (Framing::Frames, &frame[..])];
        for (framing, bytes) in all {
            let answer = framing.parse(bytes).unwrap().expect("a whole answer");
            assert_eq!((&*answer.body, answer.length, answer.status), (&b"ok"[..], bytes.len(), 200));
            for end in 0..bytes.len() {
                assert_eq!(framing.parse(&bytes[..end]), Ok(None), "{end}");
            }
        }
        assert_eq!(parse(plain).unwrap().unwrap().session.as_deref(), Some("s"));
    }

    #[test]
    fn bytes_that_are_no_answer_are_an_error() {
        assert_eq!(parse(b"nonsense\r\n\r\n").unwrap_err().kind, ErrorKind::Http);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n").unwrap_err().kind, ErrorKind::Http);
        assert_eq!(Framing::Frames.parse(&[255; 4]).unwrap_err().kind, ErrorKind::Http);
    }
}
