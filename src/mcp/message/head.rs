//! What the transport tells about a request besides its body.

use std::time::Instant;

/// What carried the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP: media types and mirrored headers are checked.
    Http,
    /// A stream of messages without headers.
    Stream,
}

/// Finds a header by name; needed only for tools that mirror parameters into headers.
pub trait HeaderLookup {
    /// The first value of the header, optional white space trimmed. The name is lower case and must be compared
    /// without regard to case.
    fn find(&self, name: &str) -> Option<&[u8]>;
}

/// No headers beyond those that [`RequestHead`] names.
#[derive(Debug, Clone, Copy)]
pub struct NoHeaders;

impl HeaderLookup for NoHeaders {
    fn find(&self, _name: &str) -> Option<&[u8]> {
        None
    }
}

impl HeaderLookup for [(&str, &[u8])] {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

impl<const N: usize> HeaderLookup for [(&str, &[u8]); N] {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.as_slice().find(name)
    }
}

/// The header fields that MCP looks at, with optional white space trimmed off their values.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Accept`.
    pub accept: Option<&'a [u8]>,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<&'a [u8]>,
    /// `Mcp-Method`.
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`.
    pub name: Option<&'a [u8]>,
    /// `Mcp-Session-Id`.
    pub session_id: Option<&'a [u8]>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<&'a [u8]>,
    /// The other headers, for `Mcp-Param-*`.
    pub params: &'a dyn HeaderLookup,
    /// What carried the message.
    pub transport: Transport,
}

impl std::fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Default for RequestHead<'_> {
    /// An HTTP request without any header.
    fn default() -> Self {
        RequestHead {
            content_type: None,
            accept: None,
            protocol_version: None,
            method: None,
            name: None,
            session_id: None,
            last_event_id: None,
            params: &NoHeaders,
            transport: Transport::Http,
        }
    }
}

/// What the caller of a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything that is on offer.
    Full,
    /// Everything but calling tools that may change something: those without `readOnlyHint`.
    ReadOnly,
}

/// When, where and for whom a request is served.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The time; this room has no clock of its own.
    pub now: Instant,
    /// Index of the core that serves the request.
    pub core: usize,
    /// Who asks, as authentication found it; `anonymous` without authentication.
    pub principal: &'a str,
    /// Whether as many handlers run as may, so that no other one is started.
    pub full: bool,
    /// The `traceparent` header, for the tool's own tracing.
    pub traceparent: Option<&'a [u8]>,
    /// What who asks may do.
    pub access: Access,
}
