//! The slow and thorough reading of an answer: HTTP, then JSON or an event stream, then JSON-RPC, then the text.

use std::borrow::Cow;

use serde::Deserialize;

use crate::options::Expect;
use crate::request::Key;

/// Largest answer that is still read.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Most header fields of an answer.
const MAX_FIELDS: usize = 64;

/// What was wrong, as counted in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ErrorKind {
    /// No connection, or no session on it.
    Connect,
    /// The server closed the connection while answers were owed.
    Closed,
    /// Reading or writing failed.
    Io,
    /// The bytes are not an HTTP/1.1 answer.
    Http,
    /// The status is not 200.
    Status,
    /// The content type is not one that was asked for.
    ContentType,
    /// The body is not the JSON-RPC answer of this call.
    JsonRpc,
    /// A JSON-RPC error, or a result that says it is one.
    CallError,
    /// The text is not the one that was sent.
    Text,
    /// No answer before the end of the run.
    Unanswered,
}

impl ErrorKind {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Io => "io",
            Self::Http => "http",
            Self::Status => "status",
            Self::ContentType => "content_type",
            Self::JsonRpc => "json_rpc",
            Self::CallError => "tool_error",
            Self::Text => "text",
            Self::Unanswered => "unanswered",
        }
    }
}

/// One error with its detail; the report shows the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

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

/// Reads the answer at the start of `input`; `None` while it is not complete.
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

/// Checks that `answer` is the right one for the call of `key`.
pub(crate) fn check(
    answer: &Answer<'_>,
    key: &Key,
    message_bytes: usize,
    expect: Expect,
) -> Result<(), Fault> {
    if answer.status != 200 {
        return Err(Fault::new(ErrorKind::Status, describe(answer)));
    }
    let media_type = answer.content_type.split(';').next().unwrap_or_default().trim();
    match (media_type, expect) {
        ("application/json", Expect::Any | Expect::Json) => check_message(&answer.body, key, message_bytes),
        ("text/event-stream", Expect::Any | Expect::Sse) => check_events(&answer.body, key, message_bytes),
        _ => Err(Fault::new(ErrorKind::ContentType, describe(answer))),
    }
}

/// An answer in a few words, for error messages.
pub(crate) fn describe(answer: &Answer<'_>) -> String {
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]);
    format!("status {}, {}: {body}", answer.status, answer.content_type)
}

/// Checks the last message of an event stream; what comes before it may only be notifications.
fn check_events(body: &[u8], key: &Key, message_bytes: usize) -> Result<(), Fault> {
    let wrong = |detail: String| Fault::new(ErrorKind::JsonRpc, detail);
    let text =
        std::str::from_utf8(body).map_err(|_| wrong("an event stream that is not UTF-8".to_owned()))?;
    let text = text.replace("\r\n", "\n");
    let mut answered = false;
    for event in text.split("\n\n") {
        let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
        let data = data.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
        if data.is_empty() || serde_json::from_str::<Notification<'_>>(&data).is_ok() {
            continue;
        }
        if answered {
            return Err(wrong(format!("a message after the answer: {data}")));
        }
        check_message(data.as_bytes(), key, message_bytes)?;
        answered = true;
    }
    if answered { Ok(()) } else { Err(wrong("an event stream without an answer".to_owned())) }
}

#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(rename = "method", borrow)]
    _method: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    id: u64,
    #[serde(default)]
    result: Option<CallResult<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    #[serde(borrow)]
    content: Vec<Content<'a>>,
    #[serde(default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

fn check_message(body: &[u8], key: &Key, message_bytes: usize) -> Result<(), Fault> {
    let shown = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    let message: Message<'_> = serde_json::from_slice(body)
        .map_err(|error| Fault::new(ErrorKind::JsonRpc, format!("{error}: {}", shown())))?;
    if message.jsonrpc != "2.0" || message.id.to_string().as_bytes() != key.id {
        return Err(Fault::new(ErrorKind::JsonRpc, format!("the answer of another call: {}", shown())));
    }
    match message.result {
        Some(CallResult { content, is_error: false }) => {
            let expected = key.message(message_bytes);
            if content.len() == 1 && content[0].text == expected {
                return Ok(());
            }
            Err(Fault::new(ErrorKind::Text, format!("expected {expected:?}: {}", shown())))
        }
        _ => Err(Fault::new(ErrorKind::CallError, shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::FIRST_ID;

    fn call(key: &Key) -> String {
        let id = std::str::from_utf8(&key.id).unwrap();
        let text = key.message(16);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
    }

    fn http(content_type: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    fn verdict(bytes: &[u8], key: &Key, expect: Expect) -> Result<(), ErrorKind> {
        let answer = parse(bytes).unwrap().expect("a whole answer");
        assert_eq!(answer.length, bytes.len());
        check(&answer, key, 16, expect).map_err(|fault| fault.kind)
    }

    #[test]
    fn right_answers_in_both_forms() {
        let key = Key::new(FIRST_ID);
        let json = call(&key);
        assert_eq!(verdict(&http("application/json", &json), &key, Expect::Json), Ok(()));
        let events =
            format!(": hello\n\ndata: {{\"method\":\"notifications/x\"}}\n\nid: 1\ndata: {json}\n\n");
        assert_eq!(verdict(&http("text/event-stream", &events), &key, Expect::Sse), Ok(()));
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            10,
            &events[..10],
            events.len() - 10,
            &events[10..]
        );
        assert_eq!(verdict(chunked.as_bytes(), &key, Expect::Any), Ok(()));
        for end in 0..chunked.len() {
            assert_eq!(parse(&chunked.as_bytes()[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        let key = Key::new(FIRST_ID);
        let json = |body: &str| http("application/json", body);
        let good = call(&key);
        assert_eq!(verdict(&json(&good), &key, Expect::Sse), Err(ErrorKind::ContentType));
        assert_eq!(verdict(&json(&good), &Key::new(FIRST_ID + 1), Expect::Any), Err(ErrorKind::JsonRpc));
        let other_text = good.replace(&key.message(16), "x");
        assert_eq!(verdict(&json(&other_text), &key, Expect::Any), Err(ErrorKind::Text));
        let failed = good.replace("\"content\"", "\"isError\":true,\"content\"");
        assert_eq!(verdict(&json(&failed), &key, Expect::Any), Err(ErrorKind::CallError));
        let error = r#"{"jsonrpc":"2.0","id":1000000000,"error":{"code":-32603,"message":"m"}}"#;
        assert_eq!(verdict(&json(error), &key, Expect::Any), Err(ErrorKind::CallError));
        assert_eq!(verdict(&json("{}"), &key, Expect::Any), Err(ErrorKind::JsonRpc));
        assert_eq!(
            verdict(&http("text/event-stream", ": x\n\n"), &key, Expect::Any),
            Err(ErrorKind::JsonRpc)
        );
        let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(verdict(busy, &key, Expect::Any), Err(ErrorKind::Status));
        assert_eq!(parse(b"nonsense\r\n\r\n").unwrap_err().kind, ErrorKind::Http);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n").unwrap_err().kind, ErrorKind::Http);
    }
}
