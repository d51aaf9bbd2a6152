//! Reads one complete request head: httparse for the grammar, then one pass over the fields.

use std::mem::MaybeUninit;

use super::fields::{Known, Picked, Span};
use super::framing::{self, Framing};
use super::reader::HttpLimits;
use super::reject::Reject;
use super::request::Method;
use super::target::{self, Authority, Target};
use crate::limits::Limit;

/// The largest value of `max_headers`: the size of the parser's array, which lives on the stack, uninitialised.
const MAX_HEADERS: usize = 256;
/// Longest method; the longest registered one has 17 letters.
const MAX_METHOD_BYTES: usize = 32;

/// What a head says, as ranges into it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) http_1_0: bool,
    pub(super) keep_alive: bool,
    pub(super) framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expect_continue: bool,
    pub(super) picked: Picked,
    /// Where the first header line starts.
    pub(super) lines_start: u32,
    /// Several Accept fields were sent; `picked` has the first.
    pub(super) several_accepts: bool,
    /// A fault that does not put the framing in doubt: the body can be read and the connection go on.
    pub(super) fault: Option<Fault>,
}

/// A fault in a request whose end is nevertheless certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Repeated(Known),
    ContentEncoding,
    Expectation,
}

/// Reads `head`, which ends with its empty line and has only CRLF line ends. Written in place: it is large to move.
pub(super) fn parse(head: &[u8], limits: &HttpLimits, parsed: &mut Head) -> Result<(), Reject> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let slots = &mut slots[..limits.headers.min(MAX_HEADERS)];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, slots) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(bad_line()),
        Err(error) => return Err(explain(error, head, limits)),
    }
    let (Some(method), Some(path), Some(version)) = (request.method, request.path, request.version) else {
        return Err(bad_line());
    };
    if method.len() > MAX_METHOD_BYTES {
        let message = format!("a method has at most {MAX_METHOD_BYTES} letters");
        return Err(Reject::new(501, "method_too_long", message).closing());
    }
    *parsed = Head {
        method: Method::from_bytes(method.as_bytes()),
        http_1_0: version == 0,
        keep_alive: version != 0,
        // `METHOD SP target SP HTTP/1.x CRLF`; httparse takes exactly one space.
        lines_start: (method.len() + path.len() + 12) as u32,
        ..Head::default()
    };
    pick(parsed, head, request.headers)?;
    check_host(head, parsed)?;
    parsed.framing = framing::decide(head, &parsed.picked, parsed.http_1_0, limits)?;
    let host = parsed.picked.value(head, Known::Host);
    parsed.target = target::parse(head, path, parsed.method, host)?;
    judge_expectation(head, parsed);
    Ok(())
}

/// Notes where the known fields lie. Repeats that could hide a second request are refused at once.
fn pick(parsed: &mut Head, head: &[u8], headers: &[httparse::Header<'_>]) -> Result<(), Reject> {
    let mut close = false;
    for header in headers {
        let Some(known) = Known::of(header.name.as_bytes()) else { continue };
        if known == Known::Connection {
            read_connection(header.value, &mut close, &mut parsed.keep_alive);
            continue;
        }
        if !parsed.picked.span(known).is_set() {
            parsed.picked.set(known, Span::of(head, header.value));
            continue;
        }
        match known {
            Known::Accept => parsed.several_accepts = true,
            // A trace that a proxy has doubled is no reason to refuse the request.
            Known::Traceparent => {}
            Known::Host => return Err(repeated("repeated_host", "Host")),
            Known::ContentLength => return Err(repeated("repeated_content_length", "Content-Length")),
            Known::TransferEncoding => {
                return Err(repeated("repeated_transfer_encoding", "Transfer-Encoding"));
            }
            _ => parsed.fault = parsed.fault.or(Some(Fault::Repeated(known))),
        }
    }
    parsed.keep_alive &= !close;
    let encoding = parsed.picked.value(head, Known::ContentEncoding);
    if encoding.is_some_and(|it| !it.eq_ignore_ascii_case(b"identity")) {
        parsed.fault = parsed.fault.or(Some(Fault::ContentEncoding));
    }
    Ok(())
}

/// Reads the tokens of one Connection field; `close` wins over `keep-alive` wherever it stands.
fn read_connection(value: &[u8], close: &mut bool, keep_alive: &mut bool) {
    if value.eq_ignore_ascii_case(b"keep-alive") {
        *keep_alive = true;
        return;
    }
    for token in value.split(|byte| *byte == b',') {
        match token.trim_ascii() {
            token if token.eq_ignore_ascii_case(b"keep-alive") => *keep_alive = true,
            token if token.eq_ignore_ascii_case(b"close") => *close = true,
            _ => {}
        }
    }
}

fn check_host(head: &[u8], parsed: &Head) -> Result<(), Reject> {
    match parsed.picked.value(head, Known::Host) {
        None if parsed.http_1_0 => Ok(()),
        None => Err(Reject::new(400, "missing_host", "HTTP/1.1 needs a Host header").closing()),
        Some(host) if Authority::is_valid(host) => Ok(()),
        Some(_) => {
            Err(Reject::new(400, "bad_host", "Host must be a name or an address, and an optional port")
                .closing())
        }
    }
}

/// Expect is a matter of HTTP/1.1 (RFC 9110, 10.1.1): an older client does not wait for the answer.
fn judge_expectation(head: &[u8], parsed: &mut Head) {
    let Some(expected) = parsed.picked.value(head, Known::Expect) else { return };
    if !expected.eq_ignore_ascii_case(b"100-continue") {
        parsed.fault = Some(Fault::Expectation);
    } else if !parsed.http_1_0 {
        parsed.expect_continue = parsed.framing != Framing::Length(0);
    }
}

/// The refusal for a fault that leaves the framing intact.
pub(super) fn refuse_fault(fault: Fault) -> Reject {
    match fault {
        Fault::Repeated(known) => {
            Reject::new(400, "repeated_header", format!("{} may be sent only once", field_name(known)))
        }
        Fault::ContentEncoding => {
            Reject::new(415, "unsupported_content_encoding", "send the body without a Content-Encoding")
        }
        Fault::Expectation => {
            Reject::new(417, "unknown_expectation", "the only expectation known is 100-continue")
        }
    }
}

fn field_name(known: Known) -> &'static str {
    match known {
        Known::Host => "Host",
        Known::Origin => "Origin",
        Known::ContentType => "Content-Type",
        Known::Accept => "Accept",
        Known::Authorization => "Authorization",
        Known::Traceparent => "traceparent",
        Known::ProtocolVersion => "MCP-Protocol-Version",
        Known::McpMethod => "Mcp-Method",
        Known::McpName => "Mcp-Name",
        Known::SessionId => "Mcp-Session-Id",
        Known::LastEventId => "Last-Event-ID",
        Known::RequestMethod => "Access-Control-Request-Method",
        Known::RequestHeaders => "Access-Control-Request-Headers",
        Known::ContentLength => "Content-Length",
        Known::TransferEncoding => "Transfer-Encoding",
        Known::ContentEncoding => "Content-Encoding",
        Known::Connection => "Connection",
        Known::Expect => "Expect",
    }
}

fn repeated(code: &'static str, name: &str) -> Reject {
    Reject::new(400, code, format!("{name} may be sent only once")).closing()
}

fn bad_line() -> Reject {
    Reject::new(400, "bad_request_line", "the request line must be: method, space, target, space, HTTP/1.1")
        .closing()
}

/// Turns the parser's verdict into ours. This is the slow path: it may look at the head again.
fn explain(error: httparse::Error, head: &[u8], limits: &HttpLimits) -> Reject {
    use httparse::Error;
    let folded = memchr::memmem::find(head, b"\r\n ").or_else(|| memchr::memmem::find(head, b"\r\n\t"));
    let (code, message) = match error {
        Error::TooManyHeaders => {
            let max = limits.headers as u64;
            let message = format!("the request has more than {max} headers ({})", Limit::Headers.name());
            return Reject::new(431, "too_many_headers", message).limited(Limit::Headers, max).closing();
        }
        Error::Version if names_other_version(head) => {
            let message = "this server speaks HTTP/1.1 and HTTP/1.0";
            return Reject::new(505, "http_version_not_supported", message).closing();
        }
        Error::HeaderName if folded.is_some() => {
            ("folded_header", "a header must not go on in the next line")
        }
        Error::HeaderName => ("bad_header_name", "a header name is a token, directly followed by a colon"),
        Error::HeaderValue => ("bad_header_value", "a header value must not hold control characters"),
        _ => return bad_line(),
    };
    Reject::new(400, code, message).closing()
}

/// True when nothing is wrong with the request line but the number of its version.
fn names_other_version(head: &[u8]) -> bool {
    let line_end = memchr::memchr(b'\r', head).unwrap_or(head.len());
    let mut words = head[..line_end].split(|byte| *byte == b' ');
    let version = words.nth(2).and_then(|version| version.strip_prefix(b"HTTP/"));
    words.next().is_none()
        && matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}
