//! Writes responses: head and body in one append, so that one write sends them.

use super::date::HttpDate;

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The media type of JSON.
pub const JSON: &str = "application/json";
/// Head bytes reserved at once: a usual head is shorter, so that it costs one growth of the buffer at most.
const USUAL_HEAD_BYTES: usize = 256;

/// What the CORS check grants to a response. The default grants nothing and writes nothing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CorsGrant<'a> {
    /// The Origin that may read the response; from a request that passed [`super::AccessPolicy`].
    pub origin: Option<&'a str>,
}

/// Everything about a response but its body. Start from the default, which writes only what HTTP demands.
#[derive(Debug, Default, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The status, from 200 to 599.
    pub status: u16,
    /// Content-Type; none for an empty body.
    pub content_type: Option<&'a str>,
    /// The connection ends with this response.
    pub close: bool,
    /// The request came in HTTP/1.0, where keeping the connection must be said.
    pub http_1_0: bool,
    /// The request was a HEAD: the body is counted and not sent.
    pub head_only: bool,
    /// The Date header.
    pub date: Option<&'a HttpDate>,
    /// Mcp-Session-Id.
    pub session_id: Option<&'a str>,
    /// Allow, for 405 and OPTIONS.
    pub allow: Option<&'a str>,
    /// Retry-After in seconds, for 429 and 503.
    pub retry_after_s: Option<u32>,
    /// WWW-Authenticate, for 401 and 403.
    pub www_authenticate: Option<&'a str>,
    /// The CORS headers of the response.
    pub cors: CorsGrant<'a>,
    /// Further headers. Names are ours; values are made visible ASCII.
    pub extra: &'a [(&'a str, &'a str)],
}

/// Appends a whole response. Content-Length is exact; a status without a body (204, 304) gets none.
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead<'_>, body: &[u8]) {
    let sends_body = has_body(head.status) && !head.head_only;
    out.reserve(USUAL_HEAD_BYTES + if sends_body { body.len() } else { 0 });
    write_head(out, head, body.len());
    if sends_body {
        out.extend_from_slice(body);
    }
}

/// Appends the head of a response whose body of `body_bytes` follows apart.
pub fn write_head(out: &mut Vec<u8>, head: &ResponseHead<'_>, body_bytes: usize) {
    start(out, head);
    if has_body(head.status) {
        out.extend_from_slice(b"Content-Length: ");
        push_number(out, body_bytes as u64);
        out.extend_from_slice(b"\r\n");
    }
    finish(out, head);
}

/// Status line and Content-Type.
pub(super) fn start(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    if head.status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        push_number(out, u64::from(head.status));
        out.push(b' ');
        out.extend_from_slice(reason(head.status).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match head.content_type {
        Some(JSON) => out.extend_from_slice(b"Content-Type: application/json\r\n"),
        Some(other) => push_field(out, "Content-Type", other),
        None => {}
    }
}

/// The rest of the head, up to and with its empty line.
pub(super) fn finish(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    if let Some(date) = head.date {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if head.close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if head.http_1_0 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    if let Some(session_id) = head.session_id {
        push_field(out, "Mcp-Session-Id", session_id);
    }
    if let Some(origin) = head.cors.origin {
        push_field(out, "Access-Control-Allow-Origin", origin);
        out.extend_from_slice(b"Access-Control-Expose-Headers: Mcp-Session-Id\r\nVary: Origin\r\n");
    }
    if head.allow.is_some() || head.retry_after_s.is_some() || head.www_authenticate.is_some() {
        push_rare(out, head);
    }
    for (name, value) in head.extra {
        push_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_rare(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    if let Some(allow) = head.allow {
        push_field(out, "Allow", allow);
    }
    if let Some(seconds) = head.retry_after_s {
        out.extend_from_slice(b"Retry-After: ");
        push_number(out, u64::from(seconds));
        out.extend_from_slice(b"\r\n");
    }
    if let Some(challenge) = head.www_authenticate {
        push_field(out, "WWW-Authenticate", challenge);
    }
}

/// Appends one header line. A byte that is not visible ASCII, space or tab becomes `?`, so that no value can end its line.
pub(super) fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value.as_bytes());
    for byte in &mut out[start..] {
        if !matches!(byte, b'\t' | b' '..=b'~') {
            *byte = b'?';
        }
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// False for the statuses whose response never has a body (RFC 9110, 6.4.1).
fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}
