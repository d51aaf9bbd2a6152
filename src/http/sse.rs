//! Server-sent events as a response body: one chunk an event, one `data:` line a message.

use super::response::{self, ResponseHead};

/// How an open event stream is framed. Small and plain: keep it beside the connection and append what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventStream {
    /// False for HTTP/1.0, where the end of the connection ends the stream.
    chunked: bool,
}

/// Appends the head of an event stream. `head` gives status, date, session and CORS; its content type, length and, in
/// HTTP/1.0, its connection are the stream's own. The connection of an HTTP/1.0 client must be closed at the end.
pub fn write_sse_head(out: &mut Vec<u8>, head: &ResponseHead<'_>) -> EventStream {
    let chunked = !head.http_1_0;
    let head =
        ResponseHead { content_type: Some("text/event-stream"), close: head.close || head.http_1_0, ..*head };
    response::start(out, &head);
    out.extend_from_slice(b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n");
    if chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    response::finish(out, &head);
    EventStream { chunked }
}

impl EventStream {
    /// True when the end of the connection is the end of the stream.
    pub fn ends_with_connection(self) -> bool {
        !self.chunked
    }

    /// Appends one event. `data` is one JSON message, or empty; line breaks in it, which JSON has only between tokens,
    /// become spaces, so that it stays one `data:` line.
    pub fn event(self, out: &mut Vec<u8>, id: Option<&str>, data: &[u8]) {
        self.event_with_retry(out, id, None, data);
    }

    /// Appends one event of another kind than `message`. The name is ours; line breaks in `data` become spaces.
    pub fn named_event(self, out: &mut Vec<u8>, name: &'static str, data: &[u8]) {
        self.fields(out, &[("event: ", Some(name.as_bytes())), ("data: ", Some(data))]);
    }

    /// Appends one event that also tells the client after how many milliseconds to come back.
    pub fn event_with_retry(self, out: &mut Vec<u8>, id: Option<&str>, retry_ms: Option<u64>, data: &[u8]) {
        let mut digits = itoa::Buffer::new();
        let retry = retry_ms.map(|retry_ms| digits.format(retry_ms).as_bytes());
        self.fields(out, &[("id: ", id.map(str::as_bytes)), ("retry: ", retry), ("data: ", Some(data))]);
    }

    /// Appends an event with those fields that there are.
    fn fields(self, out: &mut Vec<u8>, fields: &[(&'static str, Option<&[u8]>)]) {
        let lines = fields.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        let length: usize = lines.clone().map(|(name, value)| name.len() + value.len() + 1).sum();
        self.begin(out, length + 1);
        for (name, value) in lines {
            out.extend_from_slice(name.as_bytes());
            push_line(out, value);
        }
        out.push(b'\n');
        self.end_chunk(out);
    }

    /// Appends a comment, which clients ignore and which keeps the connection alive.
    pub fn comment(self, out: &mut Vec<u8>, text: &str) {
        self.begin(out, text.len() + 4);
        out.extend_from_slice(b": ");
        push_line(out, text.as_bytes());
        out.push(b'\n');
        self.end_chunk(out);
    }

    /// Ends the stream. In HTTP/1.0 that is the connection's part, and nothing is written.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    fn begin(self, out: &mut Vec<u8>, length: usize) {
        out.reserve(length + 24);
        if self.chunked {
            push_hex(out, length);
            out.extend_from_slice(b"\r\n");
        }
    }

    fn end_chunk(self, out: &mut Vec<u8>) {
        if self.chunked {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends `value` and a line feed; line breaks inside become spaces.
fn push_line(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.push(b' ');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\n');
}

fn push_hex(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for index in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * index)) & 0xf]);
    }
}
