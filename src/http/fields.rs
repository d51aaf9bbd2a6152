//! The header fields of a request: the ones the server knows, picked in one pass, and the rest on demand.

use std::fmt;

/// A range of bytes of the request head. `start` is never 0 for a field, so the default means "absent".
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The range that `part`, a slice of `whole`, has in it.
    pub(super) fn of(whole: &[u8], part: &[u8]) -> Span {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        debug_assert!(start + part.len() <= whole.len(), "invariant: `part` is a slice of `whole`");
        Span { start: start as u32, end: (start + part.len()) as u32 }
    }

    pub(super) fn bytes(self, whole: &[u8]) -> &[u8] {
        &whole[self.start as usize..self.end as usize]
    }

    pub(super) fn is_set(self) -> bool {
        self.end != 0
    }
}

/// The fields that are looked at while the head is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Known {
    Host,
    Origin,
    ContentType,
    Accept,
    Authorization,
    Traceparent,
    ProtocolVersion,
    McpMethod,
    McpName,
    SessionId,
    LastEventId,
    RequestMethod,
    RequestHeaders,
    ContentLength,
    TransferEncoding,
    ContentEncoding,
    Connection,
    Expect,
}

const KNOWN: usize = Known::Expect as usize + 1;

impl Known {
    /// Length and first letter leave one candidate, so a field costs one comparison. `name` is a token.
    pub(super) fn of(name: &[u8]) -> Option<Known> {
        let first = name.first()? | 0x20;
        let (known, same) = match (name.len(), first) {
            (4, b'h') => (Known::Host, is(name, b"host")),
            (6, b'a') => (Known::Accept, is(name, b"accept")),
            (6, b'o') => (Known::Origin, is(name, b"origin")),
            (6, b'e') => (Known::Expect, is(name, b"expect")),
            (8, b'm') => (Known::McpName, is(name, b"mcp-name")),
            (10, b'c') => (Known::Connection, is(name, b"connection")),
            (10, b'm') => (Known::McpMethod, is(name, b"mcp-method")),
            (11, b't') => (Known::Traceparent, is(name, b"traceparent")),
            (12, b'c') => (Known::ContentType, is(name, b"content-type")),
            (13, b'a') => (Known::Authorization, is(name, b"authorization")),
            (13, b'l') => (Known::LastEventId, is(name, b"last-event-id")),
            (14, b'c') => (Known::ContentLength, is(name, b"content-length")),
            (14, b'm') => (Known::SessionId, is(name, b"mcp-session-id")),
            (16, b'c') => (Known::ContentEncoding, is(name, b"content-encoding")),
            (17, b't') => (Known::TransferEncoding, is(name, b"transfer-encoding")),
            (20, b'm') => (Known::ProtocolVersion, is(name, b"mcp-protocol-version")),
            (29, b'a') => (Known::RequestMethod, is(name, b"access-control-request-method")),
            (30, b'a') => (Known::RequestHeaders, is(name, b"access-control-request-headers")),
            _ => return None,
        };
        same.then_some(known)
    }
}

/// True when the token `name` is `lower` in any case. Among token bytes only the two cases of a letter, and the dash alone,
/// become a letter or the dash when bit 5 is set; the fixed length lets the compiler compare many bytes at once.
fn is<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    name.iter().zip(lower).fold(0, |different, (byte, expected)| different | ((byte | 0x20) ^ expected)) == 0
}

/// Where the known fields lie in the head.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Picked([Span; KNOWN]);

impl Picked {
    pub(super) fn span(&self, known: Known) -> Span {
        self.0[known as usize]
    }

    pub(super) fn set(&mut self, known: Known, span: Span) {
        self.0[known as usize] = span;
    }

    pub(super) fn value<'a>(&self, head: &'a [u8], known: Known) -> Option<&'a [u8]> {
        let span = self.span(known);
        span.is_set().then(|| span.bytes(head))
    }
}

/// The header fields of one request. Values have no white space around them; they may hold any byte but controls.
#[derive(Clone, Copy, Default)]
pub struct Fields<'a> {
    /// Host, whose syntax has been checked. Absent only in HTTP/1.0.
    pub host: Option<&'a [u8]>,
    /// Origin, as sent.
    pub origin: Option<&'a [u8]>,
    /// Content-Type, as sent.
    pub content_type: Option<&'a [u8]>,
    /// Accept; several Accept fields are joined by commas (RFC 9110, 5.3).
    pub accept: Option<&'a [u8]>,
    /// Authorization. A secret: never log it.
    pub authorization: Option<&'a [u8]>,
    /// W3C trace context.
    pub traceparent: Option<&'a [u8]>,
    /// MCP-Protocol-Version.
    pub mcp_protocol_version: Option<&'a [u8]>,
    /// Mcp-Method.
    pub mcp_method: Option<&'a [u8]>,
    /// Mcp-Name.
    pub mcp_name: Option<&'a [u8]>,
    /// Mcp-Session-Id. A secret: never log it.
    pub mcp_session_id: Option<&'a [u8]>,
    /// Last-Event-ID.
    pub last_event_id: Option<&'a [u8]>,
    /// Access-Control-Request-Method, which makes an OPTIONS request a preflight.
    pub access_control_request_method: Option<&'a [u8]>,
    /// Access-Control-Request-Headers.
    pub access_control_request_headers: Option<&'a [u8]>,
    /// The header lines, without the request line, up to and with the empty line.
    lines: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `head` has been validated, and starts at the request line; `lines_start` is where its second line starts.
    pub(super) fn new(head: &'a [u8], lines_start: usize, picked: &Picked, joined_accept: &'a [u8]) -> Self {
        let value = |known| picked.value(head, known);
        Fields {
            host: value(Known::Host),
            origin: value(Known::Origin),
            content_type: value(Known::ContentType),
            accept: if joined_accept.is_empty() { value(Known::Accept) } else { Some(joined_accept) },
            authorization: value(Known::Authorization),
            traceparent: value(Known::Traceparent),
            mcp_protocol_version: value(Known::ProtocolVersion),
            mcp_method: value(Known::McpMethod),
            mcp_name: value(Known::McpName),
            mcp_session_id: value(Known::SessionId),
            last_event_id: value(Known::LastEventId),
            access_control_request_method: value(Known::RequestMethod),
            access_control_request_headers: value(Known::RequestHeaders),
            lines: &head[lines_start..],
        }
    }

    /// All fields in the order they were sent, names as sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut rest = self.lines;
        std::iter::from_fn(move || {
            let end = memchr::memchr(b'\r', rest)?;
            let (line, next) = rest.split_at(end);
            rest = next.get(2..).unwrap_or_default();
            let colon = memchr::memchr(b':', line)?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            Some((name, line[colon + 1..].trim_ascii()))
        })
    }

    /// The first field of this name, whatever its case.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl fmt::Debug for Fields<'_> {
    /// Names only: values may be secrets, and debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_fields_are_found_in_any_case_and_others_are_not() {
        assert_eq!(Known::of(b"HOST"), Some(Known::Host));
        assert_eq!(Known::of(b"mcp-Protocol-Version"), Some(Known::ProtocolVersion));
        assert_eq!(Known::of(b"Access-Control-Request-Headers"), Some(Known::RequestHeaders));
        assert_eq!(Known::of(b"Hose"), None);
        assert_eq!(Known::of(b"Mcp_Name"), None);
        assert_eq!(Known::of(b""), None);
    }

    #[test]
    fn every_field_is_listed_in_order_with_its_value_trimmed() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Two:\t b c \r\nEmpty:\r\n\r\n";
        let fields = Fields::new(head, 16, &Picked::default(), b"");
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("Host", &b"a"[..]), ("X-Two", b"b c"), ("Empty", b"")]);
        assert_eq!(fields.find("x-two"), Some(&b"b c"[..]));
        assert_eq!(fields.find("absent"), None);
        assert_eq!(format!("{fields:?}"), r#"["Host", "X-Two", "Empty"]"#);
    }
}
